#include <ATen/ATen.h>

#include "kernels/norm_modulate.h"
#include "kernels/simd_tensor.h"

namespace bw {

bool norm_modulate_fits(const at::Tensor& x, const Affine& affine, const ShiftScale& modulation) {
  if (!has_rows(x)) return false;
  for (const auto* parameter :
       {&affine.weight, &affine.bias, &modulation.shift, &modulation.scale}) {
    if (!is_row_parameter(*parameter, x.size(0), x.size(2))) return false;
  }
  return true;
}

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
