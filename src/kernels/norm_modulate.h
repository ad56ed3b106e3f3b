// Layer norm, optionally modulated by a time step, in one pass: what opens the stages of a
// diffusion transformer's block (adaLN, Peebles & Xie 2023). Read operators.cc for its name in
// rewritten graphs, simd_lanes.h for how it is vectorised.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace bw {

struct Affine {
  std::optional<at::Tensor> weight;  // [D]
  std::optional<at::Tensor> bias;    // [D], only with a weight
};

// Both or neither.
struct ShiftScale {
  std::optional<at::Tensor> shift;  // [B,1,D], [1,1,D] or [D]
  std::optional<at::Tensor> scale;
};

// x [B,N,D] f32 or bf16 with D contiguous: (norm(x)·weight + bias)·(1 + scale) + shift with
// norm(x) = (x − mean) / sqrt(var + eps) over D. Parameters may be f32 or bf16 whatever x is.
// Computed in f32, rounded once; the result has the dtype of x.
[[nodiscard]] at::Tensor norm_modulate(const at::Tensor& x, const Affine& affine,
                                       const ShiftScale& modulation, double eps);
[[nodiscard]] at::Tensor norm_modulate_ref(const at::Tensor& x, const Affine& affine,
                                           const ShiftScale& modulation, double eps);

// Whether a kernel takes them, on any device.
[[nodiscard]] bool norm_modulate_fits(const at::Tensor& x, const Affine& affine,
                                      const ShiftScale& modulation);

}  // namespace bw
