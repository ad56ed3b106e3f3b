// The branches of guidance on one loaded model: what each computes once per run, and how they run
// at an evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "bundle/bundle.h"
#include "cache/cache_controller.h"
#include "run/guidance.h"
#include "run/plan.h"
#include "run/report.h"
#include "schedule/scheduler.h"

namespace bw {

class Branches {
 public:
  // Encodes the prompts and computes everything that is constant over the steps: text keys and
  // values, rotary tables, the modulation of every evaluation. Fills the prompt's part of the
  // report.
  Branches(const Bundle& model, const Plan& plan, const Schedule& schedule, PromptReport& report);

  // Predictions of the branches that take part; latents [1,C,F,H,W] f32. `guided`: the
  // unconditional branch takes part.
  [[nodiscard]] Predictions run(CacheController& cache, std::int64_t evaluation,
                                const at::Tensor& latents, bool guided) const;

 private:
  [[nodiscard]] CacheController::BeginPass begin(const BranchContext& context,
                                                 const Modulation& modulation,
                                                 const at::Tensor& latents) const;

  const Denoiser& denoiser_;
  bool batched_;
  std::optional<BranchContext> cond_;
  std::optional<BranchContext> uncond_;
  std::optional<BranchContext> both_;  // batched guidance: conditional first
  std::vector<Modulation> single_;     // by evaluation, for one branch
  std::vector<Modulation> double_;     // for both
};

}  // namespace bw
