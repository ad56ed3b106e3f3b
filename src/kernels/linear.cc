#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <string_view>

#include "kernels/simd_tensor.h"

namespace bw {
namespace {

using Reorder = at::Tensor(const at::Tensor&, std::optional<std::int64_t>);
using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             std::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<std::string_view>);

// oneDNN's products with prepacked weights, as torch's own compiler calls them; nothing in a build
// without them.
template <typename Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find_operator(const char* name) {
  const auto schema = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!schema) return std::nullopt;
  return schema->typed<Signature>();
}

const std::optional<c10::TypedOperatorHandle<Reorder>>& reorder_operator() {
  static const auto kFound = find_operator<Reorder>("mkldnn::_reorder_linear_weight");
  return kFound;
}

const std::optional<c10::TypedOperatorHandle<Pointwise>>& pointwise_operator() {
  static const auto kFound = find_operator<Pointwise>("mkldnn::_linear_pointwise");
  return kFound;
}

bool can_pack(at::ScalarType dtype) {
  return dtype == at::kBFloat16 && has_avx512_bf16() && reorder_operator() && pointwise_operator();
}

// A weight in int8 is a tensor quantised per channel, which carries its scales along.
at::Tensor quantized(const at::Tensor& weight) {
  const at::Tensor rows = weight.to(at::kFloat).contiguous();
  const at::Tensor scales = rows.abs().amax(1).clamp_min(1e-30) / 127;
  const at::Tensor values = at::round(rows / scales.unsqueeze(1)).to(at::kChar);
  return at::_make_per_channel_quantized_tensor(values, scales.to(at::kDouble),
                                                at::zeros({rows.size(0)}, at::kLong), 0);
}

// The numbers of a quantised weight, without a copy, and their scales in f32.
at::Tensor values_of(const at::Tensor& weight) {
  return at::from_blob(weight.data_ptr(), weight.sizes(), at::TensorOptions().dtype(at::kChar));
}

at::Tensor linear_int8(const at::Tensor& x, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, Activation activation) {
  const auto type = element_of(x);
  TORCH_CHECK(x.device().is_cpu() && type, "an int8 layer takes float32 or bfloat16 on the CPU");
  const at::Tensor rows = x.contiguous().view({-1, x.size(-1)});
  const std::int64_t count = rows.size(0), inner = rows.size(1), outer = weight.size(0);
  at::Tensor q = at::empty({count, inner}, at::kChar), row_scales = at::empty({count}, at::kFloat);
  const QuantizeRows to_int8{rows.const_data_ptr(), q.mutable_data_ptr<std::int8_t>(),
                             row_scales.mutable_data_ptr<float>(), inner};
  at::parallel_for(0, count, row_grain(inner), [&](std::int64_t begin, std::int64_t end) {
    simd_kernels().quantize(to_int8, *type, begin, end);
  });
  const at::Tensor sums = at::_int_mm(q, values_of(weight).t());
  const at::Tensor column_scales = weight.q_per_channel_scales().to(at::kFloat);
  const at::Tensor offsets = bias ? bias->to(x.scalar_type()).contiguous() : at::Tensor();
  at::Tensor y = at::empty({count, outer}, x.options());
  const DequantizeRows back{.sums = sums.const_data_ptr<std::int32_t>(),
                            .y = y.mutable_data_ptr(),
                            .row_scales = row_scales.const_data_ptr<float>(),
                            .column_scales = column_scales.const_data_ptr<float>(),
                            .bias = bias ? offsets.const_data_ptr() : nullptr,
                            .dim = outer,
                            .activate = activation != Activation::kNone,
                            .tanh_form = activation == Activation::kGeluTanh};
  at::parallel_for(0, count, row_grain(outer), [&](std::int64_t begin, std::int64_t end) {
    simd_kernels().dequantize(back, *type, begin, end);
  });
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = outer;
  return y.view(sizes);
}

}  // namespace

at::Tensor linear_ref(const at::Tensor& x, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias, Activation activation) {
  return activate_ref(at::linear(x, weight, bias), activation);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, Activation activation) {
  const bool is_prepared = weight.is_quantized() || weight.is_mkldnn();
  const bool is_vector = !bias || (bias->dim() == 1 && bias->size(0) == weight.size(0));
  if (is_prepared && !is_vector) {
    return activate(linear(x, weight, std::nullopt, Activation::kNone) + *bias, activation);
  }
  if (weight.is_quantized()) return linear_int8(x, weight, bias, activation);
  if (!weight.is_mkldnn()) return activate(at::linear(x, weight, bias), activation);
  const bool is_plain = activation == Activation::kNone;
  const std::string_view algorithm = activation == Activation::kGeluTanh ? "tanh" : "none";
  return pointwise_operator()->call(x, weight, bias, is_plain ? "none" : "gelu",
                                    c10::List<std::optional<at::Scalar>>(),
                                    is_plain ? "" : algorithm);
}

std::uint64_t prepared_bytes(const at::Tensor& weight, at::ScalarType dtype, WeightForm form) {
  if (form == WeightForm::kStored) return 0;
  const auto count = static_cast<std::uint64_t>(weight.numel());
  const std::uint64_t whole = count * c10::elementSize(dtype);
  if (weight.dim() == 4) {
    return weight.is_contiguous(at::MemoryFormat::ChannelsLast) ? 0 : whole;
  }
  if (weight.dim() != 2) return 0;
  // A scale and a zero point of 8 bytes each per output channel.
  if (form == WeightForm::kInt8) return count + 16 * static_cast<std::uint64_t>(weight.size(0));
  return can_pack(dtype) ? whole : 0;
}

at::Tensor prepare_weight(const at::Tensor& weight, WeightForm form) {
  const bool is_plain = weight.device().is_cpu() && weight.layout() == at::kStrided;
  if (form == WeightForm::kStored || !is_plain) return weight;
  if (weight.dim() == 4) return weight.contiguous(at::MemoryFormat::ChannelsLast);
  if (weight.dim() != 2) return weight;
  if (form == WeightForm::kInt8) return quantized(weight);
  const bool fits = can_pack(weight.scalar_type());
  return fits ? reorder_operator()->call(weight, std::nullopt) : weight;
}

}  // namespace bw
