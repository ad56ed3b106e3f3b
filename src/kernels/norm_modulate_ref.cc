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
  const at::ScalarType wide = wide_type(x);
  const auto widened = [&](const std::optional<at::Tensor>& tensor) {
    return tensor ? std::optional(tensor->to(wide)) : std::nullopt;
  };
  at::Tensor y =
      at::layer_norm(x.to(wide), {x.size(-1)}, widened(affine.weight), widened(affine.bias), eps);
  if (modulation.scale) y = y * (1 + modulation.scale->to(wide)) + modulation.shift->to(wide);
  return y.to(x.scalar_type());
}

}  // namespace bw
