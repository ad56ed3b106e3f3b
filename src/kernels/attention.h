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

// float32 (and all but bfloat16): kSdpa, the very operator that the traced code calls, so that
// results equal the original's. bfloat16: kManual up to 640 keys, where it is faster or equal;
// above, kSdpa, which also needs no [B,heads,N,N]. Milliseconds of one call in bfloat16, B=2, 6
// heads, D=64, on a 2-core Zen 4 with torch 2.11, best of interleaved runs beside other load:
//   N                  160   320   512   640   768   1024   1304
//   1 thread   sdpa    1.1   4.0  14.3  17.0  29.9   54.9    124
//              manual  0.4   1.6   4.1   6.1  13.1   53.3    127
//   2 threads  sdpa    0.8   2.3  15.8  17.3  44.0   75.8    136
//              manual  0.3   1.2   2.4  16.6  17.1  106.8    154
// The rule looks at the dtype and the number of keys alone, so that a run repeats bit for bit.
[[nodiscard]] AttentionForm attention_form(at::ScalarType dtype, std::int64_t num_keys);

// softmax(q kᵀ / sqrt(D)) v without mask. q, k, v and result: [B,heads,N,D], one dtype.
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
[[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                AttentionForm form);

}  // namespace bw
