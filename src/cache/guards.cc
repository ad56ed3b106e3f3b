#include "cache/guards.h"

namespace bw {

std::optional<std::string_view> static_guard(const CacheGuards& guards,
                                             const EvaluationContext& context) {
  if (context.step < guards.warmup) return "warmup";
  if (context.step >= context.num_steps - guards.cooldown) return "cooldown";
  const double progress =
      static_cast<double>(context.step) / static_cast<double>(context.num_steps);
  if (progress < guards.start || progress >= guards.end) return "window";
  return std::nullopt;
}

bool ReuseRun::allows(std::int64_t step) const {
  if (longest_ <= 0) return true;
  if (step == step_) return finished_ < longest_;
  return (reused_ ? finished_ + 1 : 0) < longest_;
}

void ReuseRun::note(std::int64_t step, bool reused) {
  if (step != step_) {
    finished_ = reused_ ? finished_ + 1 : 0;
    step_ = step;
    reused_ = false;
  }
  reused_ = reused_ || reused;
}

}  // namespace bw
