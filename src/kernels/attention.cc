#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention_avx512.h"
#include "kernels/simd.h"

namespace bw {
namespace {

constexpr std::int64_t kManualMaxKeys = 640;
constexpr std::int64_t kManualMaxScores = std::int64_t{1} << 26;  // 128 MiB of [B,heads,N,L]

FlashAttention::Operand operand(const at::Tensor& x) {
  return {static_cast<const std::uint16_t*>(x.const_data_ptr()), x.stride(0), x.stride(1),
          x.stride(2)};
}

at::Tensor flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  FlashAttention call{.query = operand(q),
                      .key = operand(k),
                      .value = operand(v),
                      .output = nullptr,
                      .batch = q.size(0),
                      .heads = q.size(1),
                      .queries = q.size(2),
                      .keys = k.size(2),
                      .dim = q.size(3),
                      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(q.size(3)))),
                      .packed = nullptr};
  // Tokens before heads, so that the projection that follows reads it without a copy.
  at::Tensor y = at::empty({call.batch, call.queries, call.heads, call.dim}, q.options());
  at::Tensor packed = at::empty({call.packed_size()}, q.options());
  call.output = static_cast<std::uint16_t*>(y.mutable_data_ptr());
  call.packed = static_cast<std::uint16_t*>(packed.mutable_data_ptr());
  at::parallel_for(0, call.num_pack_tasks(), 1,
                   [&](std::int64_t begin, std::int64_t end) { flash_pack(call, begin, end); });
  at::parallel_for(0, call.num_tasks(), 1,
                   [&](std::int64_t begin, std::int64_t end) { flash_attend(call, begin, end); });
  return y.transpose(1, 2);
}

bool flash_fits(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto rows = [](const at::Tensor& x) {
    return x.device().is_cpu() && x.scalar_type() == at::kBFloat16 && x.dim() == 4 &&
           x.stride(3) == 1 && x.size(2) > 0;
  };
  return rows(q) && rows(k) && rows(v) && q.size(3) % 64 == 0 && q.size(3) <= kFlashMaxDim &&
         k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(1) == k.size(1) &&
         q.size(3) == k.size(3);
}

}  // namespace

AttentionForm attention_form(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (q.scalar_type() != at::kBFloat16 || !q.device().is_cpu()) return AttentionForm::kSdpa;
  static const bool kHasFlash = has_avx512_bf16();
  if (kHasFlash && flash_fits(q, k, v)) return AttentionForm::kFlash;
  const std::int64_t keys = k.size(-2);
  const std::int64_t scores = q.numel() / std::max<std::int64_t>(1, q.size(-1)) * keys;
  const bool is_small = keys <= kManualMaxKeys && scores <= kManualMaxScores;
  return is_small ? AttentionForm::kManual : AttentionForm::kSdpa;
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return attend(q, k, v, attention_form(q, k, v));
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  AttentionForm form) {
  switch (form) {
    case AttentionForm::kSdpa:
      return at::scaled_dot_product_attention(q, k, v);
    case AttentionForm::kFlash:
      return flash(q, k, v);
    case AttentionForm::kManual:
      break;
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::matmul(at::softmax(at::matmul(q * scale, k.transpose(-1, -2)), -1), v);
}

}  // namespace bw
