// A cache policy decides what an evaluation computes and what it reuses. Read
// policies/static_schedule.cc for the smallest example, docs/writing-a-policy.md for the way from a
// paper to a file, and cache_controller.h for the only caller.
//
// A policy knows nothing of models or tensors. It plans an evaluation before any branch runs
// (begin, const), and learns afterwards from what was really done (observe), because a guard, a
// missing anchor or batched guidance may overrule it. A policy object serves one run.
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
  kStack,   // the hidden state after the last block: all blocks are left out at once
  kBlock,   // the hidden state after single blocks
  kStage,   // outputs of single stages of blocks, before their gates and residual sums
};

[[nodiscard]] const char* site_name(Site site);

struct BranchPlan {
  Site reuse = Site::kNone;       // never kGuided
  std::vector<bool> blocks = {};  // Site::kBlock only: true = this block is reused; one per block
  // Site::kStage only: per block and stage, true = the stage's output is reused.
  std::vector<std::vector<bool>> stages = {};
  bool operator==(const BranchPlan&) const = default;
};

// Whether nothing of a block with these stages is computed.
[[nodiscard]] bool is_all_reused(const std::vector<bool>& stages);

// The plan of one evaluation; the default computes everything.
struct EvaluationPlan {
  bool reuse_guided = false;
  std::array<BranchPlan, kNumBranches> branches;  // one that does not take part is ignored
  // Whether the signal is measured where blocks are computed. False also drops the tensors it is
  // compared with, so a later distance starts anew.
  bool measure = true;
};

enum class SignalKind : std::uint8_t {
  kNone,
  kBlockOutput,     // hidden state after the block, all streams
  kAttentionInput,  // Pass::probe: norm1(h)·(1+scale)+shift, before the block
};

// Per probed block Σ|f − f_ref| / Σ|f_ref| in fp32, where f_ref is the block's tensor at the last
// evaluation that *computed* it. Measured at part 0 of a step only.
struct SignalNeeds {
  SignalKind kind = SignalKind::kNone;
  std::vector<std::vector<std::size_t>> blocks;  // per expert, ascending
  std::array<bool, kNumBranches> branches = {true, true};
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

  [[nodiscard]] bool has(Site site) const;
};

struct BranchObservation {
  bool ran = false;  // took part; false also when the guided prediction was reused
  BranchPlan done;
  // One per probed block, NaN or Inf where the tensors hold such; empty when nothing was measured
  // or there is no computed predecessor.
  std::vector<double> distances;
  std::int64_t gap = 0;  // steps since that predecessor; 0 when distances is empty
};

// The mean; absent when nothing was measured, NaN when anything is.
[[nodiscard]] std::optional<double> mean_distance(std::span<const double> distances);

struct Observation {
  bool guided_reused = false;
  std::array<BranchObservation, kNumBranches> branches;
};

class CachePolicy {
 public:
  virtual ~CachePolicy() = default;
  [[nodiscard]] virtual const CacheNeeds& needs() const = 0;
  [[nodiscard]] virtual EvaluationPlan begin(const EvaluationContext& context) const = 0;
  virtual void observe(const EvaluationContext& context, const Observation& observation) = 0;
};

}  // namespace bw
