// The machine and the libraries a run stands on: the fingerprint of a report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "run/plan.h"

namespace bw {

// Versions of the program, torch and FFmpeg, processor, instruction set, threads, and the device
// that the model runs on.
[[nodiscard]] Json environment_fingerprint(const ModelPlan& plan);

// What decides the bits of a result besides plan and bundle: processor and the instructions that
// libraries choose by or are told to leave out, LibTorch, threads, device, and the model's numeric
// options. Equal ones promise equal latents.
[[nodiscard]] Json numeric_fingerprint(const ModelPlan& plan);

// 16 digits that name a fingerprint.
[[nodiscard]] std::string fingerprint_hash(const Json& fingerprint);

// Lets peak_memory_bytes() begin anew. Where the system does not allow it, the peak stays that of
// the whole process.
void reset_peak_memory();

// Largest resident set of this process since the last reset.
[[nodiscard]] std::uint64_t peak_memory_bytes();

// Most bytes that tensors held on a device so far; nothing for the CPU.
[[nodiscard]] std::optional<std::uint64_t> peak_device_bytes(const ModelPlan& plan);

}  // namespace bw
