#include "kernels/combine.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "base/check.h"

namespace bw {
namespace {

at::Tensor combine_on_device(const std::vector<at::Tensor>& values,
                             const std::vector<double>& weights) {
  using Signature = at::Tensor(at::TensorList, at::ArrayRef<double>);
  static const auto kOperator =
      c10::Dispatcher::singleton().findSchemaOrThrow("bw::combine", "").typed<Signature>();
  return kOperator.call(values, weights);
}

}  // namespace

at::Tensor combine(const std::vector<at::Tensor>& values, const std::vector<double>& weights) {
  BW_CHECK(!values.empty() && values.size() == weights.size());
  if (values[0].is_cuda()) return combine_on_device(values, weights);
  at::Tensor sum = values[0].to(at::kFloat) * weights[0];
  for (std::size_t i = 1; i < values.size(); ++i) sum.add_(values[i].to(at::kFloat), weights[i]);
  return sum.to(values[0].scalar_type());
}

}  // namespace bw
