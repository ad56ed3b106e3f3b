// Walks one Pass as decided: computes or rebuilds, keeps what later evaluations may need, measures.
// A lane is what one Pass carries: one branch, or both as rows of a batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "bundle/denoiser.h"
#include "cache/cache_report.h"
#include "cache/feature_recorder.h"
#include "cache/history.h"
#include "cache/memory_plan.h"
#include "cache/signals.h"

namespace bw {

struct CacheClocks {
  double model_seconds = 0;  // inside the Pass, probes excepted: the sum of `model`
  ModelWorks model;
  double indicator_seconds = 0;  // probes and distances
  double rebuild_seconds = 0;    // keeping and rebuilding
  double shadow_seconds = 0;     // computing what was reused, to measure its error
  [[nodiscard]] double sum() const {
    return model_seconds + indicator_seconds + rebuild_seconds + shadow_seconds;
  }
};

struct RunnerParts {
  const CacheNeeds& needs;
  const Lifetimes& lifetimes;
  History& history;
  CacheClocks& clocks;
  RelativeL1Batch& distances;
  const ExpertLayout& expert;
  at::Tensor latents;         // the model's input [1,C,F,H,W] f32; undefined when played through
  FeatureRecorder* recorder;  // or null
  bool shadow;                // CacheSetup::shadow
};
class PassRunner {
 public:
  using BeginPass = std::function<std::unique_ptr<Pass>()>;
  using Lane = std::span<const Branch>;
  // Answers a plan that asks, once early_signal() of the lane is known.
  using Confirm = std::function<Verdict(const PassRunner&)>;

  // `plan` is that of every branch of the lane; `context` must outlive the runner.
  PassRunner(const RunnerParts& parts, const EvaluationContext& context, BranchPlan plan, Lane lane,
             Confirm confirm)
      : parts_(parts),
        context_(context),
        plan_(std::move(plan)),
        lane_(lane),
        confirm_(std::move(confirm)) {}

  // The prediction, one row per branch of the lane.
  [[nodiscard]] at::Tensor run(const BeginPass& begin_pass, bool measure);
  // What was measured of the lane's i-th branch, in the batch `distances`.
  [[nodiscard]] const DistanceQueue& signal(std::size_t i) const { return queues_[i]; }
  // Has been read already.
  [[nodiscard]] EarlySignal early_signal(std::size_t i) const;
  // BranchRecord::errors of the lane's i-th branch.
  [[nodiscard]] const std::vector<double>& errors(std::size_t i) const { return errors_[i]; }
  // The plan, with what was asked decided.
  [[nodiscard]] const BranchPlan& done() const { return plan_; }

 private:
  // Adds the time of work inside the Pass to the model's clocks.
  template <typename Work>
  auto model_work(ModelWork& part, const Work& work);
  [[nodiscard]] ModelWork& work_of(const Pass& pass, std::size_t block);
  [[nodiscard]] CacheKey key(Slot slot, Branch branch, StageRef at = {}) const;
  [[nodiscard]] Rebuild rule_of(Slot slot) const;
  // What a branch's prediction is a residual over: the latents, a row per branch of the lane.
  [[nodiscard]] Hidden prediction_input() const;
  [[nodiscard]] Hidden rebuild(Slot slot, StageRef at, const Hidden& input);
  // BranchPlan::mean_of_branches: with the value that is kept of the other branch, if any.
  [[nodiscard]] Hidden mean_with_other(Slot slot, StageRef at, Branch branch, Hidden value) const;
  void keep(Slot slot, StageRef at, const Hidden& input, const Hidden& output);
  // Measures how far `reused` is from what compute() gives, if the run asks for it.
  template <typename Compute>
  void shadow(const Hidden& reused, const Compute& compute);
  [[nodiscard]] Hidden walk_stack(Pass& pass);
  // Blocks begin … end − 1.
  [[nodiscard]] Hidden run_blocks(Pass& pass, std::size_t begin, std::size_t end, Hidden hidden);
  // The middle blocks, computed or rebuilt; decides what the plan asks.
  [[nodiscard]] Hidden run_middle(Pass& pass, const Hidden& stack_input, const Hidden& hidden);
  // The tensors of the early signal; empty when it is not measured.
  [[nodiscard]] Hidden early_tensors(Pass& pass, const Hidden& stack_input, const Hidden& hidden);
  void compare_early(const Hidden& now);
  void keep_early(const Hidden& now);
  // SignalNeeds::progress of what the first blocks add.
  void compare_progress(const Hidden& added);
  void keep_progress(const Hidden& added);
  // Whether there is a recorder that wants the part.
  [[nodiscard]] bool records(bool RecordedParts::*part) const {
    return parts_.recorder != nullptr && parts_.recorder->parts().*part;
  }
  // Hands it a value, a row for each branch of the lane.
  void record(Slot slot, StageRef at, const Hidden& value);
  // Becomes what the next evaluation compares with.
  void keep_signal(const CacheKey& signal, Hidden rows);
  [[nodiscard]] Hidden run_block(Pass& pass, std::size_t block, const Hidden& input);
  [[nodiscard]] Hidden run_whole_block(Pass& pass, std::size_t block, const Hidden& input);
  // Block by stages: computes and keeps, or rebuilds, the output of each.
  [[nodiscard]] Hidden run_stages(Pass& pass, std::size_t block, const Hidden& input);
  [[nodiscard]] StageResult run_stage(Pass& pass, StageRef at, const Hidden& input);
  [[nodiscard]] bool reuses_stage_of(std::size_t block) const;
  [[nodiscard]] bool may_reuse_stage_of(std::size_t block) const;
  [[nodiscard]] bool is_probed(std::size_t block) const;
  // The stage of a probed block whose residual is measured; none for the other kinds.
  [[nodiscard]] std::optional<std::size_t> probed_stage(std::size_t block) const;
  // False: to hold the rows of one branch would keep those of the others alive; they are copied.
  [[nodiscard]] bool probes_whole_lane() const;
  // Compares with the predecessor and becomes the next one's reference; empty: not computed.
  void measure_block(std::size_t block, const Hidden& now);
  // SignalNeeds::alignment; empty: not computed.
  void align_block(const Hidden& output, const Hidden& input);
  // A probed block that is not computed.
  void pass_over(std::size_t block);

  RunnerParts parts_;
  const EvaluationContext& context_;
  BranchPlan plan_;
  Lane lane_;
  Confirm confirm_;
  RelativeL1Batch early_batch_;
  bool measure_ = false;
  std::array<DistanceQueue, kNumBranches> queues_;
  std::array<std::optional<ProgressRows>, kNumBranches> progress_;
  std::array<std::vector<double>, kNumBranches> errors_;
};

}  // namespace bw
