// The attention core of a block, cut out of its code so that its form can be chosen here.
// Read bundle/torchscript_denoiser.h for where it is called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bw {

enum class AttentionForm {
  kSdpa,    // at::scaled_dot_product_attention: what the traced code itself calls
  kManual,  // softmax(q·scale @ kᵀ) @ v, every product in the dtype of q
  kFlash,   // attention_avx512.h: bfloat16, head sizes that are multiples of 64
};

// float32 (and all but bfloat16): kSdpa, the very operator that the traced code calls, so that
// results equal the original's. bfloat16: kFlash where the processor and the head size allow it;
// elsewhere kManual up to 640 keys and 2²⁶ scores, and kSdpa above, which needs no [B,heads,N,N].
// docs/performance.md has the measurements. The rule looks at device, dtype and sizes alone, so
// that a run repeats bit for bit.
[[nodiscard]] AttentionForm attention_form(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v);

// softmax(q kᵀ / sqrt(D)) v without mask. q, k, v and result: [B,heads,N,D], one dtype, any
// strides. The result's memory may have another order of axes.
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                AttentionForm form);

}  // namespace bw
