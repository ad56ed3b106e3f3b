#include "kernels/qk_norm_rope.h"

#include <ATen/ATen.h>

#include "kernels/parallel_rows.h"
#include "kernels/simd_tensor.h"

namespace bw {
namespace {

// [1|B,1,N,D/2] as the kernel reads it: the tables of one batch entry without gaps.
struct Tables {
  at::Tensor values;

  [[nodiscard]] const void* at(std::int64_t batch) const {
    if (!values.defined()) return nullptr;
    return entry(values, values.size(0) == 1 ? 0 : batch);
  }
};

Tables tables(const std::optional<at::Tensor>& tensor, at::ScalarType type) {
  if (!tensor) return {};
  return {tensor->to(type).contiguous()};
}

}  // namespace

at::Tensor qk_norm_rope(const at::Tensor& x, const QkNormRope& how) {
  if (!x.device().is_cpu() || !qk_norm_rope_fits(x, how)) return qk_norm_rope_ref(x, how);
  const std::int64_t batch = x.size(0), heads = x.size(1), tokens = x.size(2), dim = x.size(3);
  const bool over_row = how.span == NormSpan::kRow;
  const at::ScalarType type = common_type({&how.weight, &how.cos, &how.sin});
  const RowParameter weight = row_parameter(how.weight, type, over_row ? heads * dim : dim);
  const Tables cos = tables(how.cos, type), sin = tables(how.sin, type);
  at::Tensor y = at::empty({batch, heads, tokens, dim}, x.options());
  const BatchRows shape{batch, tokens, heads * dim};
  parallel_rows(shape, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
    const QkNormRopeTokens call{.x = entry(x, b),
                                .y = const_cast<void*>(entry(y, b)),
                                .head_stride = x.stride(1),
                                .token_stride = x.stride(2),
                                .heads = heads,
                                .tokens = tokens,
                                .dim = dim,
                                .weight = weight.at(0),
                                .cos = cos.at(b),
                                .sin = sin.at(b),
                                .norm_over_row = over_row,
                                .adjacent = how.pairs == RopePairs::kAdjacent,
                                .eps = static_cast<float>(how.eps)};
    simd_kernels().qk_norm_rope(call, *element_of(x), *element_of(type), begin, end);
  });
  return y;
}

}  // namespace bw
