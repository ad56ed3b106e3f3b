// The settings that `tune` searches: some parameters of one policy, each with its values.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cache/policy_table.h"
#include "run/plan.h"

namespace bw {

struct TuneAxis {
  std::string param;
  std::vector<Json> values;
  bool is_auto = false;  // values come from recorded signals; at most one axis
};

struct TuneCandidate {
  std::string label;  // "threshold=0.04,reuse_interval=2"
  Json values;        // of the axes
  CachePlan cache;
};

// "PARAM=auto", "PARAM=1,2,3" or "PARAM=0.02:0.06:5" (five values, evenly spaced, both ends).
// Throws UsageError on an unknown parameter (with the nearest), an empty value, or `auto` for
// anything but a number.
[[nodiscard]] TuneAxis parse_tune_axis(const std::string& text, const CachePolicyInfo& policy);

// What the policy's row says; throws UsageError when there is nothing to tune.
[[nodiscard]] std::vector<TuneAxis> default_tune_axes(const CachePolicyInfo& policy);

// All combinations, the first axis slowest. Throws UsageError naming the axis whose value the
// policy does not take.
[[nodiscard]] std::vector<TuneCandidate> tune_candidates(const std::vector<TuneAxis>& axes,
                                                         const CachePlan& base);

}  // namespace bw
