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

std::int64_t left_out_blocks(const BranchPlan& plan) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < std::max(plan.blocks.size(), plan.skipped.size()); ++i) {
    count += leaves_out(plan, i) ? 1 : 0;
  }
  return count;
}

std::int64_t int8_blocks(const BranchPlan& plan) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < plan.int8.size(); ++i) {
    count += is_int8(plan, i) ? 1 : 0;
  }
  return count;
}

bool CacheNeeds::has(Site site) const {
  return site == Site::kNone || std::find(sites.begin(), sites.end(), site) != sites.end();
}

bool CacheNeeds::keeps(Site done) const {
  return done == Site::kNone || (keeps_partial && (done == Site::kBlock || done == Site::kStage));
}

std::optional<double> mean_distance(std::span<const double> distances) {
  if (distances.empty()) return std::nullopt;
  const double sum = std::accumulate(distances.begin(), distances.end(), 0.0);
  return sum / static_cast<double>(distances.size());
}

}  // namespace bw
