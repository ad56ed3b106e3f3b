// Activations of feed-forward layers: GELU in both forms, and the gated one. Read linear.h for the
// product before them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bw {

enum class Activation : std::int8_t {
  kNone,
  kGelu,      // x·Φ(x), by the error function
  kGeluTanh,  // its usual approximation by tanh
};

// x f32 or bf16, contiguous: the activation of every element, computed in f32, rounded once.
[[nodiscard]] at::Tensor activate(const at::Tensor& x, Activation activation);
[[nodiscard]] at::Tensor activate_ref(const at::Tensor& x, Activation activation);

// GEGLU (Shazeer 2020) after its projection: x [..., 2D], contiguous → first half ·
// activation(second half), [..., D].
[[nodiscard]] at::Tensor gated_activation(const at::Tensor& x, Activation activation);
[[nodiscard]] at::Tensor gated_activation_ref(const at::Tensor& x, Activation activation);

}  // namespace bw
