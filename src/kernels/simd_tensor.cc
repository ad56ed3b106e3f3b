#include "kernels/simd_tensor.h"

#include <ATen/ATen.h>
#include <ATen/native/TypeProperties.h>

#include <algorithm>

namespace bw {

std::optional<Element> element_of(at::ScalarType type) {
  if (type == at::kFloat) return Element::kFloat32;
  if (type == at::kBFloat16) return Element::kBFloat16;
  return std::nullopt;
}

std::optional<Element> element_of(const at::Tensor& tensor) {
  return element_of(tensor.scalar_type());
}

at::ScalarType wide_type(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

bool has_rows(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && tensor.dim() == 3 && element_of(tensor) &&
         tensor.stride(2) == 1;
}

const void* RowParameter::at(std::int64_t batch) const {
  if (!values.defined()) return nullptr;
  return static_cast<const char*>(values.const_data_ptr()) +
         batch * batch_stride * static_cast<std::int64_t>(values.element_size());
}

bool is_row_parameter(const std::optional<at::Tensor>& tensor, std::int64_t batch,
                      std::int64_t dim) {
  if (!tensor) return true;
  const auto sizes = tensor->sizes();
  if (sizes.empty() || sizes.back() != dim) return false;
  const bool is_one_row = tensor->numel() == dim && sizes.size() <= 3;
  return is_one_row || (sizes.size() == 3 && sizes[0] == batch && sizes[1] == 1);
}

RowParameter row_parameter(const std::optional<at::Tensor>& tensor, at::ScalarType type,
                           std::int64_t dim) {
  if (!tensor) return {};
  return {tensor->to(type).contiguous(), tensor->numel() == dim ? 0 : dim};
}

at::ScalarType common_type(std::initializer_list<const std::optional<at::Tensor>*> parameters) {
  std::optional<at::ScalarType> common;
  for (const std::optional<at::Tensor>* parameter : parameters) {
    if (!*parameter) continue;
    const at::ScalarType type = (*parameter)->scalar_type();
    if (!element_of(type) || (common && *common != type)) return at::kFloat;
    common = type;
  }
  return common.value_or(at::kFloat);
}

at::Tensor in_result_type(const at::Tensor& x, bool promote,
                          std::initializer_list<const std::optional<at::Tensor>*> others) {
  if (!promote) return x;
  at::native::ResultTypeState state;
  state = at::native::update_result_type_state(x, state);
  for (const std::optional<at::Tensor>* other : others) {
    if (*other) state = at::native::update_result_type_state(**other, state);
  }
  return x.to(at::native::result_type(state));
}

std::int64_t row_grain(std::int64_t elements_per_row) {
  constexpr std::int64_t kElementsPerTask =
      8192;  // a few microseconds: what handing over a task costs
  return std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, elements_per_row));
}

const void* entry(const at::Tensor& tensor, std::int64_t b) {
  return static_cast<const char*>(tensor.const_data_ptr()) +
         b * tensor.stride(0) * static_cast<std::int64_t>(tensor.element_size());
}

}  // namespace bw
