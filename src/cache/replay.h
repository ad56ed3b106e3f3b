// Repeats the recorded decisions of an earlier run, so that two builds, dtypes or machines can be
// compared on identical work. Needs no signal.
#pragma once

#include <memory>
#include <vector>

#include "cache/cache_trace.h"
#include "cache/policy_table.h"

namespace bw {

// Rejects through `origin` a trace of another number of evaluations, steps, experts or blocks,
// naming the first difference. Run it without guards: the trace holds what they did.
[[nodiscard]] std::unique_ptr<CachePolicy> make_replay(
    CacheTrace trace, const Origin& origin, const std::vector<EvaluationContext>& evaluations,
    const RunShape& shape);

}  // namespace bw
