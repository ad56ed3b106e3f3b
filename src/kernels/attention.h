// The attention core of a block, cut out of its code so that its form can be chosen here.
// Read bundle/torchscript_denoiser.h for where it is called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bw {

enum class AttentionForm {
  kSdpa,    // at::scaled_dot_product_attention: what the traced code itself calls
  kManual,  // softmax(q·scale @ kᵀ) @ v, every product in the dtype of q
};

// MEASURED_TABLE
[[nodiscard]] AttentionForm attention_form(at::ScalarType dtype, std::int64_t num_keys);

// softmax(q kᵀ / sqrt(D)) v without mask. q, k, v and result: [B,heads,N,D], one dtype.
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                AttentionForm form);

}  // namespace bw
