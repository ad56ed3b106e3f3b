// How the kernels of this folder are laid out on a device: width of the loads, threads, grid. Plain
// host code without CUDA's headers, so that it is tested where there is no device. Read
// thread_work.h for what the threads do, calls.h for what they are given.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "kernels/simd.h"

namespace bw::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr int kMaxThreads = 256;
inline constexpr int kLoadBytes = 16;
// Of a block, without asking for more: 48 KiB, less what the reductions use.
inline constexpr std::int64_t kMaxRowBytes = 48 * 1024 - 2048;
// What one block of the distance adds up. The grid follows from the size alone, so the order of
// additions is the same on every device.
inline constexpr std::int64_t kDistanceChunk = 16384;

struct Launch {
  std::int64_t blocks = 0;
  int threads = 0;  // a multiple of kWarpSize
  int shared_bytes = 0;
};

[[nodiscard]] constexpr int bytes_of(Element element) {
  return element == Element::kFloat32 ? 4 : 2;
}

// Elements per load: what fills 16 bytes when every address is a multiple of 16 and every stride
// and row length (in elements) a multiple of that many; else 1. Null addresses do not count.
[[nodiscard]] int load_width(Element element, std::initializer_list<const void*> addresses,
                             std::initializer_list<std::int64_t> lengths);

// One block per row of `dim` elements. `row_in_shared`: a copy of the row in f32 and
// `extra_floats` more in shared memory.
struct RowShape {
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  bool row_in_shared = false;
  std::int64_t extra_floats = 0;
};
// Whether rows of this shape can be launched: the grid has at most 2³¹ − 1 blocks, and the row fits
// into shared memory.
[[nodiscard]] bool fits(const RowShape& shape);
[[nodiscard]] Launch row_launch(const RowShape& shape, int width);

// One load per thread over `size` elements in a row; what is left at the end goes to single
// threads of the last block.
[[nodiscard]] Launch flat_launch(std::int64_t size, int width);

// One block per chunk of the distance.
[[nodiscard]] Launch distance_launch(std::int64_t size);

}  // namespace bw::cuda
