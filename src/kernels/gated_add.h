// The gated residual sum that closes a stage of a block, in one pass.
// Read operators.cc for its name in rewritten graphs.
#pragma once

#include <ATen/core/Tensor.h>

namespace bw {

// hidden + output·gate. hidden, output: [B,N,D], f32 or bf16, D contiguous; gate: [B,1,D], [1,1,D]
// or [D]. Computed in f32, rounded once; the result has the dtype of `hidden`.
[[nodiscard]] at::Tensor gated_add(const at::Tensor& hidden, const at::Tensor& output,
                                   const at::Tensor& gate);
[[nodiscard]] at::Tensor gated_add_ref(const at::Tensor& hidden, const at::Tensor& output,
                                       const at::Tensor& gate);

// Whether a kernel takes them, on any device.
[[nodiscard]] bool gated_add_fits(const at::Tensor& hidden, const at::Tensor& output,
                                  const at::Tensor& gate);

}  // namespace bw
