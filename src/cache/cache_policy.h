// A cache policy decides what an evaluation computes and what it reuses. Read
// policies/static_schedule.cc for the smallest example, docs/writing-a-policy.md for the way from a
// paper to a file, and cache_controller.h for the only caller.
//
// A policy knows nothing of models or tensors. It plans an evaluation before any branch runs
// (begin, const), may be asked inside a pass once its early signal is known (confirm, const), and
// learns afterwards from what was really done (observe), because a guard, a missing anchor or
// batched guidance may overrule it. A policy object serves one run.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/evaluation_context.h"
#include "cache/rebuild.h"

namespace bw {

// What one act of reuse stands in for, from coarse to fine.
enum class Site : std::uint8_t {
  kNone,    // nothing: everything is computed
  kGuided,  // the prediction after guidance: no branch runs
  kBranch,  // the prediction of one branch: its Pass is not even begun
  kCfg,     // the unconditional prediction alone, made from the conditional one of the same
            // evaluation and the difference between both that was kept
  kStack,   // the hidden state after the last block: all blocks are left out at once
  kMiddle,  // the hidden state after the middle blocks: the first and the last ones run
  kBlock,   // the hidden state after single blocks
  kStage,   // outputs of single stages of blocks, before their gates and residual sums
};

[[nodiscard]] const char* site_name(Site site);
// Whether reuse at this site leaves out all blocks of a branch.
[[nodiscard]] constexpr bool leaves_out_stack(Site site) {
  return site == Site::kBranch || site == Site::kCfg || site == Site::kStack;
}

// Site::kCfg: ε_u = ε_c + low · Δ_low + high · Δ_high, where Δ = ε_u − ε_c was kept and split by
// frequency (cfg_delta.h). 1 and 1 hold the difference; 0 and 0 leave guidance out.
struct CfgWeights {
  double low = 1;
  double high = 1;
  bool operator==(const CfgWeights&) const = default;
};

struct BranchPlan {
  Site reuse = Site::kNone;  // never kGuided; kCfg for the unconditional branch alone
  // Site::kBlock: true = this block is reused; one per block. Site::kMiddle: filled in by the
  // controller.
  std::vector<bool> blocks = {};
  // Site::kStage only: per block and stage, true = the stage's output is reused.
  std::vector<std::vector<bool>> stages = {};
  // Site::kMiddle only: reuse if CachePolicy::confirm says so. Never set in what was done.
  bool ask = false;
  // How far a value extrapolates: read by Rebuild::weighted alone.
  double weight = 0;
  CfgWeights cfg = {};  // Site::kCfg only
  // Site::kStage only: the mean of what was kept of both branches takes the place of a branch's
  // own.
  bool mean_of_branches = false;
  bool operator==(const BranchPlan&) const = default;
};

// Whether nothing of a block with these stages is computed.
[[nodiscard]] bool is_all_reused(const std::vector<bool>& stages);

// The plan of one evaluation; the default computes everything.
struct EvaluationPlan {
  bool reuse_guided = false;
  double guided_weight = 0;                       // as BranchPlan::weight
  std::array<BranchPlan, kNumBranches> branches;  // one that does not take part is ignored
  // Whether the signal is measured where blocks are computed. False also drops the tensors it is
  // compared with, so a later distance starts anew.
  bool measure = true;
};

enum class SignalKind : std::uint8_t {
  kNone,
  kBlockOutput,     // hidden state after the block, all streams
  kAttentionInput,  // Pass::probe: norm1(h)·(1+scale)+shift, before the block
  kBlockResidual,   // output − input of the block, all streams
  kStageResidual,   // gate · output of one stage of the block (SignalNeeds::stages), all streams
};

// How two tensors are compared; the reference f_ref is the older one. Sums run over all streams, in
// fp32.
enum class SignalMetric : std::uint8_t {
  kRelativeL1,      // Σ|f − f_ref| / Σ|f_ref|
  kMeanSquare,      // mean of (f − f_ref)²
  kCosineDistance,  // 1 − cos(f, f_ref) over the first eighth of the channels, mean over tokens
};

// Per probed block the distance between its tensor and that of the last evaluation that *computed*
// it. Measured at part 0 of a step only.
struct SignalNeeds {
  SignalKind kind = SignalKind::kNone;
  SignalMetric metric = SignalMetric::kRelativeL1;
  std::vector<std::vector<std::size_t>> blocks = {};  // per expert, ascending; empty when early
  std::array<bool, kNumBranches> branches = {true, true};
  std::vector<std::vector<std::size_t>> stages = {};  // kStageResidual: of each of `blocks`
  bool motion = false;                                // BranchObservation::motion is measured too
  // One distance, measured inside the pass where the middle blocks begin, before they are decided
  // (CachePolicy::confirm). The tensor is that of the first middle block (kAttentionInput), the
  // hidden state that enters it (kBlockOutput), or that minus the stack's input (kBlockResidual).
  bool early = false;
  // Early only: f_ref is of the last evaluation that computed the middle; false: of the evaluation
  // before, whether it computed or not.
  bool against_computed = true;
  bool progress = false;  // early only: EarlySignal::progress is measured too
  // Early kAttentionInput only: what noise adds to a content of spectrum |f|^−p is filtered out
  // before tensors are compared (wiener_filter.h); 0: they are compared as they are.
  double content_spectrum = 0;
};

// Site::kMiddle: how many blocks run at either end whatever is reused.
struct MiddleBlocks {
  std::size_t first = 0;
  std::size_t last = 0;
};

// A stage of a block, by position.
struct StageRef {
  std::size_t block = 0;
  std::size_t stage = 0;
  auto operator<=>(const StageRef&) const = default;
};

// Constant over the run: memory is declared from it before the first evaluation.
struct CacheNeeds {
  std::vector<Site> sites;  // a plan may reuse nothing else
  Rebuild rebuild;          // how a reused segment gets its value
  SignalNeeds signal;
  // Site::kBlock: which blocks are ever reused, per expert, ascending.
  std::vector<std::vector<std::size_t>> reusable_blocks = {};
  // Site::kStage: which stages are ever reused, per expert, ascending.
  std::vector<std::vector<StageRef>> reusable_stages = {};
  bool latents = false;      // EvaluationContext::latents is measured
  MiddleBlocks middle = {};  // leaves at least one block of every expert in between

  [[nodiscard]] bool has(Site site) const;
};

struct BranchObservation {
  bool ran = false;  // took part; false also when the guided prediction was reused
  BranchPlan done;
  // One per probed block (early: one), NaN or Inf where the tensors hold such; empty when nothing
  // was measured or there is no predecessor to compare with.
  std::vector<double> distances;
  std::int64_t gap = 0;  // steps since that predecessor; 0 when distances is empty
  // How much the probed tensors f of the first stream differ from frame to frame, mean over blocks:
  // Σ|f[1:] − f[:−1]| / (Σ|f[1:]| + Σ|f[:−1]|). Absent when nothing was measured or the clip has
  // one frame of tokens.
  std::optional<double> motion = std::nullopt;
};

// The mean; absent when nothing was measured, NaN when anything is.
[[nodiscard]] std::optional<double> mean_distance(std::span<const double> distances);

struct Observation {
  bool guided_reused = false;
  std::array<BranchObservation, kNumBranches> branches;
};

// What is known of a branch where its middle blocks begin.
struct EarlySignal {
  std::optional<double> distance;  // absent without a predecessor
  // |p − p₂| / |p₁ − p₂|, sums of absolute values: p is what the first blocks add now, p₁ and p₂
  // what they added at the last and the last but one evaluation that computed the middle. Absent
  // unless SignalNeeds::progress asks for it and both exist.
  std::optional<double> progress = std::nullopt;
};

// Of the branches that were measured so far in this evaluation; the conditional one comes first.
using EarlySignals = std::array<EarlySignal, kNumBranches>;

struct Verdict {
  // Most policies answer yes or no.
  Verdict(bool is_reused, double extrapolation = 0)  // NOLINT(google-explicit-constructor)
      : reuse(is_reused), weight(extrapolation) {}
  bool reuse;
  double weight;  // BranchPlan::weight
};

class CachePolicy {
 public:
  virtual ~CachePolicy() = default;
  [[nodiscard]] virtual const CacheNeeds& needs() const = 0;
  [[nodiscard]] virtual EvaluationPlan begin(const EvaluationContext& context) const = 0;
  // Whether a branch planned with `ask` reuses the middle blocks. Asked at part 0 of a step; part 1
  // follows it.
  // Where one Pass carries both branches the conditional one's weight counts.
  [[nodiscard]] virtual Verdict confirm(const EvaluationContext& /*context*/, Branch /*branch*/,
                                        const EarlySignals& /*signals*/) const {
    return false;
  }
  virtual void observe(const EvaluationContext& context, const Observation& observation) = 0;
};

}  // namespace bw
