// AdaCache's codebook (arXiv 2411.02397), which QuantCache collapses to three levels: how many
// steps a change is worth.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"

namespace bw {

inline constexpr std::string_view kCodebookForm = "changes and rates, ascending: 0.08:6;0.16:5;1:1";

struct CodebookEntry {
  double below = 0;
  std::int64_t rate = 1;
};

inline std::vector<CodebookEntry> parse_codebook(const std::string& text, const Origin& origin) {
  std::vector<CodebookEntry> entries;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ';');) {
    char* end = nullptr;
    const double below = std::strtod(part.c_str(), &end);
    char* last = end;
    const long rate = *end == ':' ? std::strtol(end + 1, &last, 10) : 0;
    const bool ascends = entries.empty() || below > entries.back().below;
    if (end == part.c_str() || last == end || *last != '\0' || rate < 1 || !ascends) {
      reject(origin, "must be " + std::string(kCodebookForm) + ", got '" + part + "'");
    }
    entries.push_back({below, rate});
  }
  if (entries.empty()) reject(origin, "must be " + std::string(kCodebookForm));
  return entries;
}

// The rate of the first entry above the change, else that of the last; 1 for NaN, which is below
// nothing.
inline std::int64_t rate_below(const std::vector<CodebookEntry>& codebook, double change) {
  for (const CodebookEntry& entry : codebook) {
    if (change < entry.below) return entry.rate;
  }
  return std::isnan(change) ? 1 : codebook.back().rate;
}

}  // namespace bw
