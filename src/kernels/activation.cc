#include "kernels/activation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/simd_tensor.h"

namespace bw {
namespace {

bool fits(const at::Tensor& x) { return x.device().is_cpu() && element_of(x) && x.is_contiguous(); }

void run(const ActivateRange& call, const at::Tensor& x, std::int64_t count) {
  const std::int64_t grain = row_grain(call.gated_dim == 0 ? 1 : call.gated_dim);
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    simd_kernels().activate(call, *element_of(x), begin, end);
  });
}

}  // namespace

at::Tensor activate(const at::Tensor& x, Activation activation) {
  if (activation == Activation::kNone || !fits(x)) return activate_ref(x, activation);
  at::Tensor y = at::empty_like(x);
  run({.x = x.const_data_ptr(),
       .y = y.mutable_data_ptr(),
       .tanh_form = activation == Activation::kGeluTanh},
      x, x.numel());
  return y;
}

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) % 2 == 0 && activation != Activation::kNone,
              "gated_activation takes [...,2D] and an activation, got ", x.sizes());
  if (!fits(x)) return gated_activation_ref(x, activation);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() /= 2;
  at::Tensor y = at::empty(sizes, x.options());
  run({.x = x.const_data_ptr(),
       .y = y.mutable_data_ptr(),
       .tanh_form = activation == Activation::kGeluTanh,
       .gated_dim = sizes.back()},
      x, x.numel() / std::max<std::int64_t>(1, x.size(-1)));
  return y;
}

}  // namespace bw
