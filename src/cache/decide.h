// From a policy's plan to what is done: guards, missing anchors and batched guidance may turn reuse
// into computing, never the reverse.
#pragma once

#include <array>

#include "cache/cache_controller.h"
#include "cache/history.h"

namespace bw {

// Everything a verdict is checked against.
struct Overrules {
  const CacheNeeds& needs;
  const CacheGuards& guards;
  const CacheLayout& layout;
  const History& history;
  const std::array<ReuseRun, kNumBranches>& runs;
};

[[nodiscard]] StepDecision decide(const Overrules& overrules, const EvaluationContext& context,
                                  const EvaluationPlan& plan);

}  // namespace bw
