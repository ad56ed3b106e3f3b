// Matrix products with weights that were prepared once. Read activation.h for what may follow them,
// operators.cc for the names in rewritten graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "kernels/activation.h"

namespace bw {

// x [...,K] · weightᵀ + bias, then the activation. weight: [N,K] of x's dtype, as it is or from
// pack_weight.
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias, Activation activation);
[[nodiscard]] at::Tensor linear_ref(const at::Tensor& x, const at::Tensor& weight,
                                    const std::optional<at::Tensor>& bias, Activation activation);

// The same weight in the layout that the fastest product of its dtype and device wants; itself
// where there is none. [N,K]: packed, then good for linear() alone. [N,C,h,w]: channels last, good
// for any convolution.
[[nodiscard]] at::Tensor pack_weight(const at::Tensor& weight);
// Bytes that pack_weight would add for a weight of this size and dtype on the CPU.
[[nodiscard]] std::int64_t packed_bytes(std::int64_t elements, at::ScalarType dtype);

}  // namespace bw
