// The device that a run computes on. The program links no CUDA library: what --device cuda needs is
// loaded here, and what is missing is named. Read driver.h for what is asked of the driver,
// cuda/torch_operators.cc for the plug-in, docs/cuda.md for how to get one.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/origin.h"

namespace bw {

// "cpu", "cuda" (its first device) or "cuda:1". Anything else is rejected after the origin.
[[nodiscard]] c10::Device parse_device(std::string_view text, const Origin& origin);

struct DeviceInfo {
  std::string name;
  int capability = 0;  // compute capability times ten
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

// Asks the driver alone, which loads nothing of LibTorch. `device` is one of CUDA's. Throws
// ResourceError: no driver, no device, no such device.
[[nodiscard]] DeviceInfo describe_device(c10::Device device);

// Makes `device` usable and the current one, for the whole process; nothing for the CPU. Loads
// LibTorch's CUDA part and the plug-in; must come before any other use of ATen, which looks for
// CUDA once. A second call for the same device does nothing. Throws ResourceError naming what is
// missing and how to get it.
void open_device(c10::Device device);

// Chooses algorithms that give the same bits in every run, at the price of speed. Process-wide;
// before open_device.
void set_deterministic(bool deterministic);

}  // namespace bw
