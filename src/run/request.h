// What was asked for: every field optional, each with the place it came from. Read run/options.h
// for the fields and run/resolve.h for how a request becomes a plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/origin.h"

namespace bw {

class Request {
 public:
  struct Entry {
    Json value;  // checked and in the type of its row
    Origin origin;
  };

  // A later call for the same key wins, so sources are added from the weakest to the strongest:
  // config, then flags.
  void set(const std::string& key, const Json& value, const Origin& origin);
  // Takes over what another request holds, which was checked when it entered that one.
  void adopt(const std::string& key, const Entry& entry) { entries_[key] = entry; }
  void adopt(const Request& other);
  // All keys of a config object; unknown ones are rejected with the nearest known key.
  void add_config(const Json& config, const Origin& origin);

  [[nodiscard]] const Entry* find(const std::string& key) const;
  [[nodiscard]] bool has(const std::string& key) const { return find(key) != nullptr; }
  [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& key) const;
  [[nodiscard]] std::optional<double> number(const std::string& key) const;
  [[nodiscard]] bool flag(const std::string& key) const;
  [[nodiscard]] std::optional<std::filesystem::path> path(const std::string& key) const;
  // Where the value came from, or the flag that would set it.
  [[nodiscard]] Origin origin(const std::string& key) const;

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace bw
