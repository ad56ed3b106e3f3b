#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/simd_tensor.h"

namespace bw {

at::Tensor activate_ref(const at::Tensor& x, Activation activation) {
  if (activation == Activation::kNone) return x;
  return at::gelu(x.to(wide_type(x)), activation == Activation::kGeluTanh ? "tanh" : "none")
      .to(x.scalar_type());
}

at::Tensor gated_activation_ref(const at::Tensor& x, Activation activation) {
  const std::vector<at::Tensor> halves = at::chunk(x.to(wide_type(x)), 2, -1);
  return (halves[0] * activate_ref(halves[1], activation)).to(x.scalar_type());
}

}  // namespace bw
