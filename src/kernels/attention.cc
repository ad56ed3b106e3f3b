#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention_avx512.h"
#include "kernels/simd.h"

namespace bw {
namespace {

constexpr std::int64_t kPlainMaxKeys = 640;

// Graphs call attention through the dispatcher, which has no place for the form of a run.
thread_local std::optional<AttentionForm> scoped_form;

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

bool flash_takes_heads_of(std::int64_t dim) { return dim % 64 == 0 && dim <= kFlashMaxDim; }

bool has_flash_layout(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto rows = [](const at::Tensor& x) {
    return x.scalar_type() == at::kBFloat16 && x.dim() == 4 && x.stride(3) == 1 && x.size(2) > 0;
  };
  return rows(q) && rows(k) && rows(v) && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
         q.size(1) == k.size(1) && q.size(3) == k.size(3);
}

}  // namespace

std::string_view attention_form_name(AttentionForm form) {
  switch (form) {
    case AttentionForm::kSdpa:
      return "sdpa";
    case AttentionForm::kPlain:
      return "plain";
    case AttentionForm::kFlash:
      break;
  }
  return "flash";
}

std::optional<AttentionForm> find_attention_form(std::string_view name) {
  for (const AttentionForm form : kAttentionForms) {
    if (attention_form_name(form) == name) return form;
  }
  return std::nullopt;
}

std::string attention_obstacle(AttentionForm form, c10::Device device, at::ScalarType dtype) {
  if (form != AttentionForm::kFlash) return {};
  if (!device.is_cpu()) return "runs on the CPU alone";
  if (dtype != at::kBFloat16) return "computes in bfloat16 alone";
  static const bool kHasProducts = has_avx512_bf16();
  return kHasProducts ? "" : "needs a processor with AVX-512 BF16, which this one is not";
}

std::string attention_obstacle(AttentionForm form, const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v) {
  std::string obstacle = attention_obstacle(form, q.device(), q.scalar_type());
  if (form != AttentionForm::kFlash || !obstacle.empty()) return obstacle;
  if (!flash_takes_heads_of(q.size(-1))) {
    return "needs heads of 64, 128, 192 or 256 values; this model's have " +
           std::to_string(q.size(-1));
  }
  return has_flash_layout(q, k, v)
             ? ""
             : "needs as many heads of keys and values as of queries, without gaps in a head";
}

std::int64_t num_scores(const at::Tensor& q, const at::Tensor& k) {
  return q.numel() / std::max<std::int64_t>(1, q.size(-1)) * k.size(-2);
}

AttentionForm attention_form(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (q.scalar_type() != at::kBFloat16 || !q.device().is_cpu()) return AttentionForm::kSdpa;
  if (attention_obstacle(AttentionForm::kFlash, q, k, v).empty()) return AttentionForm::kFlash;
  const bool is_small = k.size(-2) <= kPlainMaxKeys && num_scores(q, k) <= kPlainMaxScores;
  return is_small ? AttentionForm::kPlain : AttentionForm::kSdpa;
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return attend(q, k, v, scoped_form ? *scoped_form : attention_form(q, k, v));
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  AttentionForm form) {
  const std::string obstacle = attention_obstacle(form, q, k, v);
  TORCH_CHECK(obstacle.empty(), "attention in the form '", attention_form_name(form), "' ",
              obstacle);
  switch (form) {
    case AttentionForm::kSdpa:
      return at::scaled_dot_product_attention(q, k, v);
    case AttentionForm::kFlash:
      return flash(q, k, v);
    case AttentionForm::kPlain:
      break;
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::matmul(at::softmax(at::matmul(q * scale, k.transpose(-1, -2)), -1), v);
}

AttentionScope::AttentionScope(std::optional<AttentionForm> form) : before_(scoped_form) {
  scoped_form = form;
}

AttentionScope::~AttentionScope() { scoped_form = before_; }

}  // namespace bw
