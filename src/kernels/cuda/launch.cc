#include "kernels/cuda/launch.h"

#include <algorithm>

#include "base/check.h"

namespace bw::cuda {
namespace {

constexpr std::int64_t kMaxBlocks = 2147483647;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t shared_bytes(const RowShape& shape) {
  return shape.row_in_shared ? (shape.dim + shape.extra_floats) * std::int64_t{sizeof(float)} : 0;
}

}  // namespace

int load_width(Element element, std::initializer_list<const void*> addresses,
               std::initializer_list<std::int64_t> lengths) {
  const int width = kLoadBytes / bytes_of(element);
  for (const void* address : addresses) {
    if (reinterpret_cast<std::uintptr_t>(address) % kLoadBytes != 0) return 1;
  }
  for (const std::int64_t length : lengths) {
    if (length % width != 0) return 1;
  }
  return width;
}

bool fits(const RowShape& shape) {
  return shape.rows <= kMaxBlocks && shape.dim <= kMaxBlocks && shared_bytes(shape) <= kMaxRowBytes;
}

Launch row_launch(const RowShape& shape, int width) {
  BW_CHECK(fits(shape));
  const std::int64_t warps = ceil_div(ceil_div(shape.dim, width), kWarpSize);
  const std::int64_t threads = std::clamp<std::int64_t>(warps * kWarpSize, kWarpSize, kMaxThreads);
  return {shape.rows, static_cast<int>(threads), static_cast<int>(shared_bytes(shape))};
}

Launch flat_launch(std::int64_t size, int width) {
  const std::int64_t blocks = ceil_div(size, std::int64_t{kMaxThreads} * width);
  BW_CHECK(blocks <= kMaxBlocks);
  return {blocks, kMaxThreads, 0};
}

Launch distance_launch(std::int64_t size) {
  const std::int64_t blocks = ceil_div(size, kDistanceChunk);
  BW_CHECK(blocks <= kMaxBlocks);
  return {blocks, kMaxThreads, 0};
}

}  // namespace bw::cuda
