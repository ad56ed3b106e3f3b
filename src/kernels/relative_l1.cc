#include "kernels/relative_l1.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace bw {
namespace {

// Note: [One order of additions]
// Element i of a chunk always goes to lane i mod 32, lanes are added pairwise in double, chunks in
// order. Neither threads nor the width of the vector registers change that order, and no product is
// formed that a compiler could fuse; so every machine gets the same bits.
constexpr std::int64_t kLanes = 32;

inline float to_float(float value) { return value; }
// bf16 is the upper half of an f32.
inline float to_float(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

double add_lanes(const float* lanes) {
  double sums[kLanes];
  for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] = lanes[lane];
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

// Inlined into one function per instruction set, where the lane loops become vector instructions.
template <typename T>
[[gnu::always_inline]] inline RelativeL1Sums chunk_sums(const T* a, const T* b, std::int64_t size) {
  alignas(64) float difference[kLanes] = {};
  alignas(64) float reference[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const float x = to_float(a[i + lane]);
      const float y = to_float(b[i + lane]);
      difference[lane] += std::fabs(x - y);
      reference[lane] += std::fabs(y);
    }
  }
  for (std::int64_t lane = 0; i + lane < size; ++lane) {
    const float x = to_float(a[i + lane]);
    const float y = to_float(b[i + lane]);
    difference[lane] += std::fabs(x - y);
    reference[lane] += std::fabs(y);
  }
  return {add_lanes(difference), add_lanes(reference)};
}

template <typename T>
using ChunkSums = RelativeL1Sums (*)(const T*, const T*, std::int64_t);

template <typename T>
RelativeL1Sums chunk_sums_baseline(const T* a, const T* b, std::int64_t size) {
  return chunk_sums(a, b, size);
}

#if defined(__x86_64__)
template <typename T>
[[gnu::target("avx2")]] RelativeL1Sums chunk_sums_avx2(const T* a, const T* b, std::int64_t size) {
  return chunk_sums(a, b, size);
}
template <typename T>
[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")]] RelativeL1Sums
chunk_sums_avx512(const T* a, const T* b, std::int64_t size) {
  return chunk_sums(a, b, size);
}
#endif

template <typename T>
ChunkSums<T> choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return chunk_sums_avx512<T>;
  }
  if (__builtin_cpu_supports("avx2")) return chunk_sums_avx2<T>;
#endif
  return chunk_sums_baseline<T>;
}

template <typename T>
RelativeL1Sums sums(const T* a, const T* b, std::int64_t size) {
  const ChunkSums<T> chunk = choose<T>();
  const std::int64_t num_chunks = (size + kRelativeL1Chunk - 1) / kRelativeL1Chunk;
  std::vector<RelativeL1Sums> chunks(static_cast<std::size_t>(num_chunks));
  at::parallel_for(0, num_chunks, /*grain_size=*/4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const std::int64_t first = c * kRelativeL1Chunk;
      chunks[static_cast<std::size_t>(c)] =
          chunk(a + first, b + first, std::min(kRelativeL1Chunk, size - first));
    }
  });
  RelativeL1Sums total;
  for (const RelativeL1Sums& part : chunks) total += part;
  return total;
}

}  // namespace

RelativeL1Sums relative_l1_sums(const at::Tensor& a, const at::Tensor& b) {
  BW_CHECK(a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type());
  // Equal strides without gaps: the order of the elements does not matter, only their pairing.
  const bool is_fast = a.device().is_cpu() && b.device().is_cpu() &&
                       a.is_non_overlapping_and_dense() && a.strides() == b.strides();
  if (is_fast && a.scalar_type() == at::kFloat) {
    return sums(a.const_data_ptr<float>(), b.const_data_ptr<float>(), a.numel());
  }
  if (is_fast && a.scalar_type() == at::kBFloat16) {
    return sums(static_cast<const std::uint16_t*>(a.const_data_ptr()),
                static_cast<const std::uint16_t*>(b.const_data_ptr()), a.numel());
  }
  return relative_l1_sums_ref(a, b);
}

}  // namespace bw
