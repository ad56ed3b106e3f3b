// TeaCache's rule, by which D2Cache, SeaCache and DiCache decide too: the changes from step to step
// are summed up; while the sum is below a threshold the middle blocks are reused; a computed step
// starts it afresh. The policies differ in what they call a change. Read teacache.cc for the
// plainest use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "cache/cache_policy.h"

namespace bw {

class AccumulatedChange {
 public:
  struct Limits {
    double threshold = 0;
    std::int64_t first = 1;  // steps that are always computed
    std::int64_t last = 1;
    std::int64_t num_steps = 0;
  };
  explicit AccumulatedChange(const Limits& limits) : limits_(limits) {}

  // Both branches ask whether to reuse the middle, but at the first and the last steps.
  [[nodiscard]] EvaluationPlan plan(const EvaluationContext& context) const {
    EvaluationPlan plan;
    const bool is_last = context.step >= limits_.num_steps - limits_.last;
    if (context.step < limits_.first || is_last) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kMiddle, .ask = true};
    return plan;
  }

  // change: of this step; absent without a predecessor. Absent and NaN compute, and so does the
  // first step of another expert.
  [[nodiscard]] bool allows(const EvaluationContext& context, std::optional<double> change) const {
    return change && context.expert == expert_ && sum_ + *change < limits_.threshold;
  }

  // What the changes since the last computed step add up to, with that of this step, in units of
  // what they had added up to at that step; absent before a second computed step of the expert.
  [[nodiscard]] std::optional<double> progress(double change) const {
    if (!(interval_ > 0)) return std::nullopt;
    return (sum_ + change) / interval_;
  }

  // Once per step, with its change.
  void observe(const EvaluationContext& context, bool reused, std::optional<double> change) {
    if (reused) {
      sum_ += change.value_or(0);
      return;
    }
    const bool goes_on = change && context.expert == expert_;
    interval_ = goes_on ? sum_ + *change : 0;
    sum_ = 0;
    expert_ = context.expert;
  }

 private:
  Limits limits_;
  double sum_ = 0;       // since the last computed step
  double interval_ = 0;  // what it was there, that step's change included; 0: unknown
  std::size_t expert_ = 0;
};

// The distance that the conditional branch observed; absent where nothing was measured.
[[nodiscard]] inline std::optional<double> early_distance(const Observation& observation) {
  const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
  if (cond.distances.empty()) return std::nullopt;
  return cond.distances.front();
}

[[nodiscard]] inline bool reused_middle(const Observation& observation) {
  return observation.branches[index_of(Branch::kCond)].done.reuse == Site::kMiddle;
}

}  // namespace bw
