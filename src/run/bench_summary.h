// What bench's rows say: medians per arm, as JSON and as a table.
#pragma once

#include <span>
#include <string>

#include "run/bench.h"

namespace bw {

// {"kind": "bwcache-gen bench", "identity", "environment", "bundle", "prompts", "seeds", "arms":
// [{"name", "identity", "plan", "seconds": {stage: {"median", "lowest", "highest"}}, "share":
// {"indicator_and_controller", "rebuild"} (of denoising), "speedup": {"denoise", "total"} over the
// first arm (ratios of medians), "computed_fraction", "cache_bytes", "peak_memory_bytes",
// "quality"}]}. Stages named "blocks <kind>" are what blocks of that kind took. Quality is the mean
// over the clips; "<metric>_reference" is against the reference.
[[nodiscard]] Json bench_summary(const Bundle& model, const BenchSetup& setup,
                                 std::span<const MeasuredRun> rows);

[[nodiscard]] std::string bench_table(const Json& summary);

}  // namespace bw
