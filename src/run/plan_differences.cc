#include "run/plan_differences.h"

#include <algorithm>

namespace bw {
namespace {

void add_differences(const Json& recorded, const Json& now, const std::string& path,
                     std::vector<std::string>& found) {
  if (recorded.is_object() && now.is_object()) {
    for (const auto& [key, value] : recorded.items()) {
      std::string place = path;
      place += '.';
      place += key;
      if (now.contains(key)) {
        add_differences(value, now.at(key), place, found);
      } else {
        found.push_back(place + ": recorded " + value.dump() + ", now nothing");
      }
    }
    return;
  }
  if (recorded.is_array() && now.is_array()) {
    for (std::size_t i = 0; i < std::max(recorded.size(), now.size()); ++i) {
      std::string place = path;
      place += '[';
      place += std::to_string(i);
      place += ']';
      if (i >= now.size()) {
        found.push_back(place + ": recorded " + recorded[i].dump() + ", now nothing");
      } else if (i >= recorded.size()) {
        found.push_back(place + ": recorded nothing, now " + now[i].dump());
      } else {
        add_differences(recorded[i], now[i], place, found);
      }
    }
    return;
  }
  if (recorded != now) {
    found.push_back(path + ": recorded " + recorded.dump() + ", now " + now.dump());
  }
}

}  // namespace

std::vector<std::string> plan_differences(const Json& recorded, const Json& now) {
  std::vector<std::string> found;
  add_differences(recorded, now, "plan", found);
  return found;
}

}  // namespace bw
