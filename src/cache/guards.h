// Rules that overrule every policy: they only ever turn reuse into computing. Read
// cache_controller.h for the caller. Guards that need no tensors are here; a missing anchor is
// found by the controller.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cache/evaluation_context.h"

namespace bw {

// The defaults guard nothing.
struct CacheGuards {
  std::int64_t warmup = 0;           // the first n steps are computed
  std::int64_t cooldown = 0;         // the last n steps are computed
  double start = 0;                  // reuse only at steps k with start <= k / num_steps < end
  double end = 1;                    //
  std::int64_t max_consecutive = 0;  // longest run of steps in which a branch reuses; 0: no limit
};

// The guard that forbids reuse at this step whatever happened before, by its name in the report.
[[nodiscard]] std::optional<std::string_view> static_guard(const CacheGuards& guards,
                                                           const EvaluationContext& context);

// Counts runs of reuse. The evaluations of one step count once and share the verdict.
class ReuseRun {
 public:
  explicit ReuseRun(std::int64_t longest) : longest_(longest) {}
  [[nodiscard]] bool allows(std::int64_t step) const;
  void note(std::int64_t step, bool reused);

 private:
  std::int64_t longest_;       // 0: no limit
  std::int64_t finished_ = 0;  // steps of the run before step_
  std::int64_t step_ = -1;
  bool reused_ = false;  // in step_
};

}  // namespace bw
