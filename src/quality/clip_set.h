// Several compared clips taken together. Read compare.h for one clip.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "quality/compare.h"

namespace bw {

struct ClipResult {
  std::string clip;
  std::vector<MetricResult> metrics;
};

struct SetResult {
  MetricResult means;            // values: each clip's mean, in the order of the clips
  std::string worst_clip;        // the one with the worst mean
  std::string worst_value_clip;  // the one that holds the worst single value
  MetricResult worst_value;      // that clip's result
};

// One per metric that any of the clips has.
[[nodiscard]] std::vector<SetResult> summarize_set(std::span<const ClipResult> clips);

}  // namespace bw
