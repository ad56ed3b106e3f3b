#include "cache/cache_policy.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace bw {

const char* site_name(Site site) {
  switch (site) {
    case Site::kNone:
      return "none";
    case Site::kGuided:
      return "guided";
    case Site::kBranch:
      return "branch";
    case Site::kCfg:
      return "cfg";
    case Site::kStack:
      return "stack";
    case Site::kMiddle:
      return "middle";
    case Site::kBlock:
      return "block";
    case Site::kStage:
      return "stage";
  }
  BW_CHECK(false, "unknown site");
}

bool is_all_reused(const std::vector<bool>& stages) {
  return !stages.empty() && std::find(stages.begin(), stages.end(), false) == stages.end();
}

bool CacheNeeds::has(Site site) const {
  return site == Site::kNone || std::find(sites.begin(), sites.end(), site) != sites.end();
}

std::optional<double> mean_distance(std::span<const double> distances) {
  if (distances.empty()) return std::nullopt;
  const double sum = std::accumulate(distances.begin(), distances.end(), 0.0);
  return sum / static_cast<double>(distances.size());
}

}  // namespace bw
