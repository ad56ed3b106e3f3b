// Matrix products with weights that were prepared once. Read activation.h for what may follow them,
// operators.cc for the names in rewritten graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "kernels/activation.h"

namespace bw {

// How the weights of a model's linear layers are kept.
enum class WeightForm : std::int8_t {
  kStored,  // as they are in their file
  kPacked,  // in the layout of the fastest product
  kInt8,    // int8 with a scale per output channel, CPU only
};

// x [...,K] · weightᵀ + bias, then the activation. weight: [N,K] of x's dtype, as it is or from
// prepare_weight. With an int8 weight the rows of x become int8 too, each with its own scale.
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias, Activation activation);
[[nodiscard]] at::Tensor linear_ref(const at::Tensor& x, const at::Tensor& weight,
                                    const std::optional<at::Tensor>& bias, Activation activation);

// The same weight in another form, for linear() alone: packed where this processor and dtype have
// such a layout; itself otherwise. A kernel [N,C,h,w] becomes channels last in every form but
// kStored, and stays good for any convolution.
[[nodiscard]] at::Tensor prepare_weight(const at::Tensor& weight, WeightForm form);

// Bytes of what prepare_weight() makes of `weight` in another dtype on the CPU; 0 when it makes
// nothing new. Looks at shape and strides alone.
[[nodiscard]] std::uint64_t prepared_bytes(const at::Tensor& weight, at::ScalarType dtype,
                                           WeightForm form);

}  // namespace bw
