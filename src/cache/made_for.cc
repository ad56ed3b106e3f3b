#include "cache/made_for.h"

namespace bw {
namespace {

// Pairs in the order they are written in.
std::vector<std::pair<std::string, std::string>> pairs_of(std::string_view text,
                                                          const Origin& origin) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    const std::size_t semicolon = text.find(';');
    const std::string_view item = text.substr(0, semicolon);
    text = semicolon == std::string_view::npos ? std::string_view() : text.substr(semicolon + 1);
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      reject(origin, "must be " + std::string(kMadeForForm) + ", got '" + std::string(item) + "'");
    }
    pairs.emplace_back(item.substr(0, equals), item.substr(equals + 1));
  }
  return pairs;
}

}  // namespace

std::string made_for_text(const RunIdentity& identity) {
  std::string text;
  for (const auto& [key, value] : identity) {
    if (!text.empty()) text += ';';
    text += key;
    text += '=';
    text += value;
  }
  return text;
}

void check_made_for_form(std::string_view text, const Origin& origin) {
  (void)pairs_of(text, origin);
}

void check_made_for(std::string_view text, const RunIdentity& identity, const Origin& origin) {
  if (identity.empty()) return;
  std::string differences;
  for (const auto& [key, value] : pairs_of(text, origin)) {
    const auto found = identity.find(key);
    if (found != identity.end() && found->second == value) continue;
    if (!differences.empty()) differences += ", ";
    differences += key;
    differences += '=';
    differences += value;
    differences +=
        found == identity.end() ? " (which no run has)" : " (this run: " + found->second + ")";
  }
  if (differences.empty()) return;
  reject(origin, "the table was measured with " + differences +
                     "; calibrate again for this run, or leave made_for empty to use the table "
                     "unchecked");
}

}  // namespace bw
