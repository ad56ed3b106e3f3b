// The decisions of a run, as done: what --cache-replay reads from a report. Read replay.h for the
// policy that repeats them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/cache_report.h"

namespace bw {

struct CacheTrace {
  struct Step {
    EvaluationContext context;  // index, step, part, expert and guided only
    std::size_t num_blocks = 0;
    bool guided_reused = false;
    double guided_weight = 0;
    std::array<BranchPlan, kNumBranches> branches;
  };
  std::vector<Site> sites;
  std::string rebuild;
  bool keeps_partial = false;
  std::vector<Step> evaluations;
};

// The path of the i-th evaluation, for errors.
[[nodiscard]] Origin evaluation_origin(const Origin& trace, std::size_t i);
// Whether some block was computed in int8.
[[nodiscard]] bool uses_int8(const CacheTrace& trace);
[[nodiscard]] CacheTrace trace_of(const CacheReport& report);
// Reads what to_json(CacheReport) wrote; rejects anything else through `origin`, naming the path.
[[nodiscard]] CacheTrace trace_from_json(const Json& cache, const Origin& origin);

}  // namespace bw
