// The only code that knows both sides: asks the policy, applies the guards, walks the model's
// blocks, keeps and rebuilds, measures, reports. Read cache_policy.h for the one side and
// bundle/denoiser.h for the other. One controller serves one run.
//
//   for each evaluation e, in order:
//     const StepDecision& decision = cache.begin(e, x);
//     if (decision.run_branches) {
//       cond = cache.run(Branch::kCond, begin_pass_of_cond);  …or both =
//       cache.run_batched(begin_pass);
//     }
//     x = scheduler.step(e, cache.guided(combined), x);       undefined when nothing was combined
//     cache.end();
// Predictions and hidden states may be held for later steps: nobody changes them in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle/denoiser.h"
#include "cache/cache_policy.h"
#include "cache/cache_report.h"
#include "cache/feature_recorder.h"
#include "cache/guards.h"

namespace bw {

// Sizes of one expert's tensors for ONE branch (batch 1), in the dtype they are handed out in.
struct ExpertLayout {
  std::vector<BlockInfo> blocks;
  std::uint64_t hidden_bytes = 0;    // all streams
  std::uint64_t probe_bytes = 0;     // Pass::probe
  std::uint64_t filtered_bytes = 0;  // the same in f32 (SignalNeeds::content_spectrum)
  // Frames, rows and columns of tokens in the first stream, which is ordered by frame; a stream
  // may have others behind them.
  std::array<std::int64_t, 3> grid = {1, 1, 1};
};

struct CacheLayout {
  std::vector<ExpertLayout> experts;
  std::uint64_t prediction_bytes = 0;          // one branch, f32
  std::vector<EvaluationContext> evaluations;  // the whole run, in order
  bool batched = false;                        // guided evaluations run both branches in one Pass
};

struct CacheSetup {
  std::unique_ptr<CachePolicy> policy;
  CacheGuards guards;
  std::optional<std::uint64_t> budget_bytes;  // absent: no limit
  CacheLayout layout;
  FeatureRecorder* recorder = nullptr;  // sees what is computed; outlives the controller
};

struct BranchDecision {
  BranchPlan plan;
  std::string reason;  // see BranchRecord::reason
};

struct StepDecision {
  bool run_branches = true;   // false: the guided prediction is reused
  double guided_weight = 0;   // EvaluationPlan::guided_weight
  std::string guided_reason;  // empty unless the policy may reuse the guided prediction
  std::array<BranchDecision, kNumBranches> branches;  // of those that take part
  bool measure = true;
};

// Bytes the cache will hold at most; known before anything is loaded.
[[nodiscard]] std::uint64_t declared_cache_bytes(const CacheNeeds& needs, const CacheGuards& guards,
                                                 const CacheLayout& layout);

class CacheController {
 public:
  using BeginPass = std::function<std::unique_ptr<Pass>()>;

  // Throws ResourceError, naming the bytes needed and allowed, when the budget does not suffice.
  explicit CacheController(CacheSetup setup);
  ~CacheController();
  CacheController(const CacheController&) = delete;
  CacheController& operator=(const CacheController&) = delete;

  [[nodiscard]] std::uint64_t declared_bytes() const;

  // Decides evaluation `index`; evaluations in order, each once, each closed by end(). latents: the
  // model's input [1,C,F,H,W] f32.
  const StepDecision& begin(std::int64_t index, const at::Tensor& latents);
  // The same for a run that is only played through (rehearse.h): nothing is measured of the
  // latents, their signals are given.
  const StepDecision& begin_recorded(std::int64_t index, std::optional<LatentSignals> signals);
  // Whether the open evaluation's branches run as one batch. Not where the unconditional prediction
  // is made from the conditional one.
  [[nodiscard]] bool runs_batched() const;
  // The prediction [1,C,F,H,W] f32 of one branch; the conditional one comes first. `begin_pass` is
  // not called when the branch's prediction is reused.
  [[nodiscard]] at::Tensor run(Branch branch, const BeginPass& begin_pass);
  // Both branches in one Pass of batch 2, the conditional first: [2,C,F,H,W] f32.
  [[nodiscard]] at::Tensor run_batched(const BeginPass& begin_pass);
  // The guided prediction to hand to the scheduler; `combined` is undefined when no branch ran.
  [[nodiscard]] at::Tensor guided(const at::Tensor& combined);
  // Tells the policy what was done and drops what can never be read again.
  void end();

  [[nodiscard]] CacheReport report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bw
