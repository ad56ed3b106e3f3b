// Root-mean-square norm and rotary embedding of queries or keys in one pass (QK-norm, Dehghani et
// al. 2023; RoPE, Su et al. 2021). Read operators.cc for its name in rewritten graphs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace bw {

enum class NormSpan : std::int8_t {
  kHead,  // over the D values of each head
  kRow,   // over all heads of a token (Wan)
};

enum class RopePairs : std::int8_t {
  kNone,      // no rotation; cos and sin absent
  kHalves,    // value i is paired with i + D/2
  kAdjacent,  // value 2i with 2i + 1 (Wan)
};

struct QkNormRope {
  std::optional<at::Tensor> weight;  // [D] for kHead, [heads·D] for kRow
  double eps = 1e-6;
  NormSpan span = NormSpan::kHead;
  RopePairs pairs = RopePairs::kNone;
  std::optional<at::Tensor> cos;  // [1|B,1,N,D/2], f32 or bf16
  std::optional<at::Tensor> sin;
};

// For kHead any tensor [...,D] is taken, for kRow:
// x [B,heads,N,D] f32 or bf16, D contiguous, other strides free (a view of [B,N,heads·D] as a
// rule): y = x / sqrt(mean(x²) + eps) · weight, rotated: (a, b) → (a·cos − b·sin, a·sin + b·cos).
// Computed in f32, rounded once. Result [B,heads,N,D], contiguous, dtype of x.
[[nodiscard]] at::Tensor qk_norm_rope(const at::Tensor& x, const QkNormRope& how);
[[nodiscard]] at::Tensor qk_norm_rope_ref(const at::Tensor& x, const QkNormRope& how);

// Whether a kernel takes them, on any device.
[[nodiscard]] bool qk_norm_rope_fits(const at::Tensor& x, const QkNormRope& how);

}  // namespace bw
