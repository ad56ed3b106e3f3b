// How the latents and the conditional prediction move from step to step: signals of the sampler,
// for policies that look at no block (CacheNeeds::latents). Read policies/easycache.cc for the use.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>

#include "cache/history.h"
#include "cache/memory_plan.h"
#include "kernels/relative_l1_batch.h"

namespace bw {

// Measured at part 0 of a step. What a computed step gives is read when the next one begins, so
// that a device is waited for once per step.
class LatentTracker {
 public:
  // z: the model's input [1,C,F,H,W] f32. Absent at the first step, and where an expert takes over.
  [[nodiscard]] std::optional<LatentSignals> begin(const EvaluationContext& context,
                                                   const at::Tensor& z, const Lifetimes& lifetimes,
                                                   History& history);
  // v: the prediction [1,C,F,H,W] f32 of the conditional branch, which was computed in this step.
  void computed(const EvaluationContext& context, const at::Tensor& v, const Lifetimes& lifetimes,
                History& history);

 private:
  void read();

  at::Tensor z_;  // of the step that is open
  RelativeL1Batch batch_;
  std::optional<std::size_t> change_;  // rows of the batch
  std::optional<std::size_t> prediction_;
  std::optional<std::size_t> latents_;
  bool has_before_ = false;  // the rows compare with an earlier computed step
  LatentSignals known_;
};

}  // namespace bw
