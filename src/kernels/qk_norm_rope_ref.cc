#include <ATen/ATen.h>

#include "kernels/qk_norm_rope.h"
#include "kernels/simd_tensor.h"

namespace bw {
namespace {

at::Tensor normed(const at::Tensor& x, const QkNormRope& how) {
  const bool over_row = how.span == NormSpan::kRow;
  const std::vector<std::int64_t> axes =
      over_row ? std::vector<std::int64_t>{1, 3} : std::vector<std::int64_t>{-1};
  at::Tensor y = x * at::rsqrt(x.square().mean(axes, /*keepdim=*/true) + how.eps);
  if (!how.weight) return y;
  const at::Tensor weight = how.weight->to(x.scalar_type());
  return y * (over_row ? weight.view({x.size(1), 1, x.size(3)}) : weight);
}

}  // namespace

bool qk_norm_rope_fits(const at::Tensor& x, const QkNormRope& how) {
  if (x.dim() != 4 || x.layout() != at::kStrided || !element_of(x) || x.stride(3) != 1) {
    return false;
  }
  const std::int64_t span = (how.span == NormSpan::kRow ? x.size(1) : 1) * x.size(3);
  if (how.weight && (how.weight->dim() != 1 || how.weight->size(0) != span)) return false;
  if (how.pairs == RopePairs::kNone) return true;
  if (how.cos->dim() != 4) return false;
  const std::int64_t entries = how.cos->size(0);
  const std::vector<std::int64_t> wanted = {entries, 1, x.size(2), x.size(3) / 2};
  return x.size(3) % 2 == 0 && (entries == 1 || entries == x.size(0)) &&
         how.cos->sizes() == at::IntArrayRef(wanted) && how.sin->sizes() == how.cos->sizes();
}

at::Tensor qk_norm_rope_ref(const at::Tensor& x, const QkNormRope& how) {
  TORCH_CHECK(x.dim() == 4 || how.span == NormSpan::kHead,
              "a norm over rows takes [batch,heads,tokens,dim], got ", x.sizes());
  const at::Tensor y = normed(x.to(wide_type(x)), how);
  if (how.pairs == RopePairs::kNone) return y.to(x.scalar_type()).contiguous();
  const bool adjacent = how.pairs == RopePairs::kAdjacent;
  const std::vector<at::Tensor> parts =
      adjacent ? at::unbind(y.unflatten(-1, {-1, 2}), -1) : at::chunk(y, 2, -1);
  const at::Tensor &a = parts[0], &b = parts[1];
  const at::Tensor cos = how.cos->to(y.scalar_type()), sin = how.sin->to(y.scalar_type());
  const std::vector<at::Tensor> turned = {a * cos - b * sin, a * sin + b * cos};
  const at::Tensor rotated = adjacent ? at::stack(turned, -1).flatten(-2) : at::cat(turned, -1);
  return rotated.to(x.scalar_type()).contiguous();
}

}  // namespace bw
