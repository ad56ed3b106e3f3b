#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <string_view>

#include "kernels/simd.h"

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
  static const auto found = find_operator<Reorder>("mkldnn::_reorder_linear_weight");
  return found;
}

const std::optional<c10::TypedOperatorHandle<Pointwise>>& pointwise_operator() {
  static const auto found = find_operator<Pointwise>("mkldnn::_linear_pointwise");
  return found;
}

bool can_pack(at::ScalarType dtype) {
  return dtype == at::kBFloat16 && has_avx512_bf16() && reorder_operator() && pointwise_operator();
}

}  // namespace

at::Tensor linear_ref(const at::Tensor& x, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias, Activation activation) {
  return activate_ref(at::linear(x, weight, bias), activation);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, Activation activation) {
  if (!weight.is_mkldnn()) return activate(at::linear(x, weight, bias), activation);
  const bool is_plain = activation == Activation::kNone;
  const std::string_view algorithm = activation == Activation::kGeluTanh ? "tanh" : "none";
  return pointwise_operator()->call(x, weight, bias, is_plain ? "none" : "gelu",
                                    c10::List<std::optional<at::Scalar>>(),
                                    is_plain ? "" : algorithm);
}

at::Tensor pack_weight(const at::Tensor& weight) {
  if (weight.dim() == 4 && weight.device().is_cpu()) {
    return weight.contiguous(at::MemoryFormat::ChannelsLast);
  }
  const bool fits = weight.device().is_cpu() && weight.layout() == at::kStrided &&
                    weight.dim() == 2 && can_pack(weight.scalar_type());
  return fits ? reorder_operator()->call(weight, std::nullopt) : weight;
}

std::int64_t packed_bytes(std::int64_t elements, at::ScalarType dtype) {
  return can_pack(dtype) ? elements * 2 : 0;
}

}  // namespace bw
