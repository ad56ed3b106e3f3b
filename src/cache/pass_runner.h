// Walks one Pass as decided: computes or rebuilds, keeps what later evaluations may need, measures.
// A lane is what one Pass carries: one branch, or both as rows of a batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <memory>
#include <span>

#include "bundle/denoiser.h"
#include "cache/cache_report.h"
#include "cache/history.h"
#include "cache/memory_plan.h"
#include "cache/signals.h"

namespace bw {

struct CacheClocks {
  double model_seconds = 0;  // inside the Pass, probes excepted: the sum of `model`
  ModelWorks model;
  double indicator_seconds = 0;  // probes and distances
  double rebuild_seconds = 0;    // keeping and rebuilding
};

struct RunnerParts {
  const CacheNeeds& needs;
  const Lifetimes& lifetimes;
  History& history;
  CacheClocks& clocks;
  RelativeL1Batch& distances;
};

class PassRunner {
 public:
  using BeginPass = std::function<std::unique_ptr<Pass>()>;
  using Lane = std::span<const Branch>;

  // `plan` is that of every branch of the lane; it and `context` must outlive the runner.
  PassRunner(const RunnerParts& parts, const EvaluationContext& context, const BranchPlan& plan,
             Lane lane)
      : parts_(parts), context_(context), plan_(plan), lane_(lane) {}

  // The prediction, one row per branch of the lane.
  [[nodiscard]] at::Tensor run(const BeginPass& begin_pass, bool measure);
  // What was measured of the lane's i-th branch, in the batch `distances`.
  [[nodiscard]] const DistanceQueue& signal(std::size_t i) const { return queues_[i]; }

 private:
  // Adds the time of work inside the Pass to the model's clocks.
  template <typename Work>
  auto model_work(ModelWork& part, const Work& work);
  [[nodiscard]] ModelWork& work_of(const Pass& pass, std::size_t block);
  [[nodiscard]] CacheKey key(Slot slot, Branch branch, StageRef at = {}) const;
  [[nodiscard]] Rebuild rule_of(Slot slot) const;
  [[nodiscard]] Hidden rebuild(Slot slot, StageRef at, const Hidden& input);
  void keep(Slot slot, StageRef at, const Hidden& input, const Hidden& output);
  [[nodiscard]] Hidden walk_stack(Pass& pass);
  [[nodiscard]] Hidden run_block(Pass& pass, std::size_t block, const Hidden& input);
  [[nodiscard]] Hidden run_whole_block(Pass& pass, std::size_t block, const Hidden& input);
  // Block by stages: computes and keeps, or rebuilds, the output of each.
  [[nodiscard]] Hidden run_stages(Pass& pass, std::size_t block, const Hidden& input);
  [[nodiscard]] StageResult run_stage(Pass& pass, StageRef at, const Hidden& input);
  [[nodiscard]] bool reuses_stage_of(std::size_t block) const;
  [[nodiscard]] bool may_reuse_stage_of(std::size_t block) const;
  [[nodiscard]] bool is_probed(std::size_t block) const;
  // False: to hold the rows of one branch would keep those of the others alive; they are copied.
  [[nodiscard]] bool probes_whole_lane() const;
  // Compares with the predecessor and becomes the next one's reference; empty: not computed.
  void measure_block(std::size_t block, const Hidden& now);

  RunnerParts parts_;
  const EvaluationContext& context_;
  const BranchPlan& plan_;
  Lane lane_;
  bool measure_ = false;
  std::array<DistanceQueue, kNumBranches> queues_;
};

}  // namespace bw
