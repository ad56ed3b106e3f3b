#include <ATen/ATen.h>

#include "kernels/norm_modulate.h"

namespace bw {

at::Tensor norm_modulate_ref(const at::Tensor& x, const Affine& affine,
                             const ShiftScale& modulation, double eps) {
  const auto in_f32 = [](const std::optional<at::Tensor>& tensor) {
    return tensor ? std::optional(tensor->to(at::kFloat)) : std::nullopt;
  };
  at::Tensor y = at::layer_norm(x.to(at::kFloat), {x.size(-1)}, in_f32(affine.weight),
                                in_f32(affine.bias), eps);
  if (modulation.scale) {
    y = y * (1 + modulation.scale->to(at::kFloat)) + modulation.shift->to(at::kFloat);
  }
  return y.to(x.scalar_type());
}

}  // namespace bw
