// Small helpers for tests that compare tensors.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace bw {

// Normal numbers that depend on the seed alone.
inline at::Tensor seeded(at::IntArrayRef sizes, std::uint64_t seed,
                         at::ScalarType dtype = at::kFloat) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(sizes, generator, at::TensorOptions().dtype(at::kFloat)).to(dtype);
}

// max|a − b| / max|b|
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

}  // namespace bw
