// What a CacheController holds; only for its own files. Read cache_controller.cc for the order of
// an evaluation, cache_controller_guidance.cc for what concerns both branches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "cache/cache_controller.h"
#include "cache/history.h"
#include "cache/latent_signals.h"
#include "cache/memory_plan.h"
#include "cache/pass_runner.h"

namespace bw {

struct CacheController::Impl {
  explicit Impl(CacheSetup given);

  const EvaluationContext& context() const { return current; }
  std::size_t num_blocks() const { return setup.layout.experts[context().expert].blocks.size(); }
  bool takes_part(Branch branch) const { return branch == Branch::kCond || context().guided; }

  void open(std::int64_t next, const at::Tensor& model_input);
  const StepDecision& decide_now();
  at::Tensor run(PassRunner::Lane lane, const BeginPass& begin_pass);
  [[nodiscard]] BranchPlan follow_first_part(Branch branch, BranchPlan plan) const;
  [[nodiscard]] Verdict confirms(const PassRunner& runner, PassRunner::Lane lane) const;
  [[nodiscard]] bool runs_batched() const;
  [[nodiscard]] CacheKey cfg_key() const {
    return {Slot::kCfg, context().expert, context().part, Branch::kUncond};
  }
  // Site::kCfg: the unconditional prediction.
  [[nodiscard]] at::Tensor from_conditional(const BeginPass& begin_pass);
  // CacheSetup::shadow: the guided prediction is reused, and its branches computed all the same.
  [[nodiscard]] bool shadows_guided() const {
    return decision.reuses_guided && decision.run_branches;
  }
  [[nodiscard]] at::Tensor plain(const BeginPass& begin_pass);
  void keep_cfg_delta(const at::Tensor& uncond);
  // Noise level at the end of the open step: of the next evaluation of its part; its own at the
  // last.
  [[nodiscard]] double next_sigma() const;
  at::Tensor guided(const at::Tensor& combined);
  void end();
  // Waits for what was measured; returns the seconds that took, which the indicator's clock has.
  double read_distances();
  void record(const Observation& observation);
  void count(const EvaluationRecord& evaluation);

  CacheSetup setup;
  const CacheNeeds& needs;
  Lifetimes lifetimes;
  std::uint64_t declared = 0;
  History history;
  CacheClocks clocks;
  RelativeL1Batch distances;  // of the open evaluation
  std::array<DistanceQueue, kNumBranches> signals;
  std::array<ReuseRun, kNumBranches> runs;
  // What part 0 of the last step did, and which step that was.
  std::array<std::pair<std::int64_t, BranchPlan>, kNumBranches> first_parts;

  std::int64_t index = -1;    // of the evaluation that is open, or was closed last
  EvaluationContext current;  // that evaluation, with what was measured of it
  at::Tensor latents;         // its input; undefined when it is only played through
  at::Tensor conditional;     // Site::kCfg: its conditional prediction, once that has run
  LatentTracker latent_tracker;
  bool is_open = false;
  StepDecision decision;
  Observation observation;
  EarlySignals early;                                    // of the branches that have run
  std::array<std::vector<double>, kNumBranches> errors;  // BranchRecord::errors
  std::optional<double> guided_error;
  CacheReport report;
};

}  // namespace bw
