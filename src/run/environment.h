// The machine and the libraries a run stands on: the fingerprint of a report.
#pragma once

#include <cstdint>
#include <optional>

#include "base/json.h"
#include "run/plan.h"

namespace bw {

// Versions of the program, torch and FFmpeg, processor, instruction set, threads, and the device
// that the model runs on.
[[nodiscard]] Json environment_fingerprint(const ModelPlan& plan);

// Lets peak_memory_bytes() begin anew. Where the system does not allow it, the peak stays that of
// the whole process.
void reset_peak_memory();

// Largest resident set of this process since the last reset.
[[nodiscard]] std::uint64_t peak_memory_bytes();

// Most bytes that tensors held on a device so far; nothing for the CPU.
[[nodiscard]] std::optional<std::uint64_t> peak_device_bytes(const ModelPlan& plan);

}  // namespace bw
