// The device of a plan: whether it is there, can run the plan's dtype, and has the memory. Read
// kernels/device.h for how it is opened.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "bundle/manifest.h"
#include "run/plan.h"

namespace bw {

[[nodiscard]] c10::Device device_of(const ModelPlan& plan);

// Opens it and sets what the plan wants of it, for the whole process. Comes before any tensor is
// made. Throws ResourceError naming what is missing, or the dtype that it cannot run.
void open_run_device(const ModelPlan& plan);

// What a run will hold at least, counted from the manifest and the headers of the weight files.
struct MemoryNeeds {
  std::uint64_t block_weights = 0;  // in the plan's dtype
  std::uint64_t cache = 0;          // as the cache declares it
  std::uint64_t hidden = 0;         // input and output of one block

  [[nodiscard]] std::uint64_t total() const { return block_weights + cache + hidden; }
};
[[nodiscard]] MemoryNeeds memory_needs(const Plan& plan, const Manifest& manifest);

// Compares them with what is free on the device; the CPU's memory is not checked. Loads nothing.
// Throws ResourceError with the bytes needed and available.
void check_device_memory(const Plan& plan, const Manifest& manifest);

}  // namespace bw
