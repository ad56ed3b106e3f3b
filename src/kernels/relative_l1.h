// The two sums of a relative L1 distance, Σ|a − b| and Σ|b|, in one pass over both tensors. Read
// relative_l1_ref.cc for the definition in ATen and relative_l1.cc for the fast one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bw {

struct RelativeL1Sums {
  double difference = 0;  // Σ|a − b|
  double reference = 0;   // Σ|b|

  RelativeL1Sums& operator+=(const RelativeL1Sums& other) {
    difference += other.difference;
    reference += other.reference;
    return *this;
  }
  // NaN when b is all zeros or anything was not finite in a way that left no order: no threshold
  // test `distance() < t` succeeds then.
  [[nodiscard]] double distance() const { return difference / reference; }
};

// a, b: same shape and dtype, on the CPU, f32 or bf16, without gaps in memory and of equal strides;
// others go through the reference. A slice of the leading dimension qualifies.
// Reads both tensors once, makes no temporary of their size, accumulates in fp32 over 32 lanes of
// chunks of kRelativeL1Chunk elements and adds the chunks in order in double: the result does not
// depend on the number of threads or on the instruction set.
[[nodiscard]] RelativeL1Sums relative_l1_sums(const at::Tensor& a, const at::Tensor& b);

inline constexpr std::int64_t kRelativeL1Chunk = 16384;

// The definition: tensors converted to f64, so it is also the more exact one.
[[nodiscard]] RelativeL1Sums relative_l1_sums_ref(const at::Tensor& a, const at::Tensor& b);

}  // namespace bw
