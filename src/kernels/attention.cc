#include "kernels/attention.h"

#include <ATen/ATen.h>

#include <cmath>

namespace bw {
namespace {

constexpr std::int64_t kManualMaxKeys = 640;

}  // namespace

AttentionForm attention_form(at::ScalarType dtype, std::int64_t num_keys) {
  const bool is_manual = dtype == at::kBFloat16 && num_keys <= kManualMaxKeys;
  return is_manual ? AttentionForm::kManual : AttentionForm::kSdpa;
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return attend(q, k, v, attention_form(q.scalar_type(), k.size(-2)));
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  AttentionForm form) {
  if (form == AttentionForm::kSdpa) return at::scaled_dot_product_attention(q, k, v);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::matmul(at::softmax(at::matmul(q * scale, k.transpose(-1, -2)), -1), v);
}

}  // namespace bw
