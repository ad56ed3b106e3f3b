// Which branches of the model run at an evaluation, and how their predictions become one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "run/plan.h"

namespace bw {

struct Predictions {
  std::optional<at::Tensor> cond;  // [1,C,F,H,W] f32
  std::optional<at::Tensor> uncond;
};

class Guidance {
 public:
  Guidance(const GuidancePlan& plan, std::int64_t num_steps) : plan_(plan), num_steps_(num_steps) {}

  // Whether the unconditional branch takes part at scheduler step `step`.
  [[nodiscard]] bool active(std::int64_t step) const;
  // uncond + scale·(cond − uncond) (classifier-free guidance, arXiv 2207.12598), then rescaled
  // towards the deviation of cond (arXiv 2305.08891, eq. 15-16) by `rescale`. Without an
  // unconditional prediction: cond itself.
  [[nodiscard]] at::Tensor combine(const Predictions& predictions) const;

 private:
  GuidancePlan plan_;
  std::int64_t num_steps_;
};

}  // namespace bw
