// The machine and the libraries a run stands on: the fingerprint of a report.
#pragma once

#include <cstdint>

#include "base/json.h"
#include "run/plan.h"

namespace bw {

// Versions of the program, torch and FFmpeg, processor, instruction set, threads, and the device
// that the model runs on.
[[nodiscard]] Json environment_fingerprint(const ModelPlan& plan);

// Largest resident set of this process so far.
[[nodiscard]] std::uint64_t peak_memory_bytes();

}  // namespace bw
