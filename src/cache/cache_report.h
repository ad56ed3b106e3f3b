// What the cache did, evaluation by evaluation, and what that cost. Part of the run report; read
// cache_trace.h for the part of it that --cache-replay needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/cache_policy.h"

namespace bw {

struct BranchRecord {
  Branch branch = Branch::kCond;
  BranchPlan done;
  // Who had the last word: "policy", or what made the controller compute: "warmup", "cooldown",
  // "window", "max_consecutive", "no anchor", "batched".
  std::string reason;
  std::vector<double> distances;  // per probed block
  std::int64_t gap = 0;           // steps since the step compared with
  std::optional<double> motion = std::nullopt;
  // CacheSetup::shadow: Σ|v − v*| / Σ|v*| of each reused value v, where v* is what the segment
  // computes from the same input; in the order of the walk.
  std::vector<double> errors = {};
};

struct EvaluationRecord {
  EvaluationContext context;
  std::size_t num_blocks = 0;  // of the expert that ran
  bool guided_reused = false;
  double guided_weight = 0;   // EvaluationPlan::guided_weight
  std::string guided_reason;  // as BranchRecord::reason; empty when the policy has no guided site
  std::vector<BranchRecord> branches;  // those that took part; empty when guided_reused
  std::optional<double> guided_error = std::nullopt;  // as BranchRecord::errors
};

// CacheSetup::shadow: what was off, over all reused values of a run.
struct ShadowTotals {
  std::int64_t values = 0;
  double mean = 0;     // 0 without values; NaN when one is
  double worst = 0;    // of those that are not NaN
  double seconds = 0;  // spent on computing what was reused
};

// What a part of the model was asked for, in rows of a batch (one per branch), and how long that
// took; on a GPU, to hand over.
struct ModelWork {
  std::int64_t rows = 0;
  double seconds = 0;
};

struct ModelWorks {
  ModelWork embed;                          // with what begins an evaluation
  std::map<std::string, ModelWork> blocks;  // by kind; also blocks of which only a stage was run
  ModelWork head;
};

struct CacheTotals {
  std::int64_t blocks = 0;  // that an uncached run computes: evaluations × branches × blocks
  std::int64_t blocks_computed = 0;     // also those of which only a stage was
  std::int64_t blocks_int8 = 0;         // of those computed, in int8
  std::int64_t stages_reused = 0;       // Site::kStage only
  std::int64_t evaluations_reused = 0;  // guided prediction reused
  std::int64_t branches_reused = 0;     // prediction of a branch or its stack reused
  double indicator_seconds = 0;         // probes and distances
  double rebuild_seconds = 0;           // keeping and rebuilding
  double controller_seconds = 0;        // the rest of the cache's own work
  ModelWorks model;
  std::uint64_t declared_bytes = 0;
  std::uint64_t peak_bytes = 0;
};

struct CacheReport {
  std::vector<Site> sites;  // what the policy may reuse
  std::string rebuild;
  bool keeps_partial = false;  // CacheNeeds::keeps_partial
  SignalNeeds signal;
  std::vector<EvaluationRecord> evaluations;
  CacheTotals totals;
  std::optional<ShadowTotals> shadow;  // of a run with CacheSetup::shadow

  // True when nothing was reused at all.
  [[nodiscard]] bool inert() const;
  // Share of the blocks that were not computed, 0 … 1. Of a block with reused stages it is their
  // share of its stages.
  [[nodiscard]] double reused_fraction() const;
  // Quantile of the finite mean distances, q in [0,1] (nearest rank); absent when none was
  // measured.
  [[nodiscard]] std::optional<double> indicator_quantile(double q) const;
};

// Of the errors in `evaluations`.
[[nodiscard]] ShadowTotals shadow_totals(const CacheReport& report, double seconds);

// Makes it the report of the run without a shadow.
void without_errors(CacheReport& report);

// {"sites": […], "rebuild": "…", "keeps_partial"?: true, "signal": "…", "evaluations": [{"index",
// "step", "part", "expert", "guided",
//  "guided_reused"?, "guided_error"?, "branches": {"cond": {"reuse": "stack", "blocks": "rrrr",
//  "reason", "indicator"?, "distances"?, "gap"?, "errors"?}}}], "totals": {…}, "quantiles": {…},
//  "shadow"?: {"values", "mean_error", "worst_error", "seconds"}}; blocks: c = computed,
//  r = reused, s = skipped, q = computed in int8. Reuse at "stage" adds "stages": ["rcc", …], per
//  block; its blocks are r when all stages are. "corrections": [[scale, shift], …] per block,
//  where held blocks are corrected.
[[nodiscard]] Json to_json(const CacheReport& report);

}  // namespace bw
