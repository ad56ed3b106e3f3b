#include "kernels/norm_modulate.h"

#include <ATen/ATen.h>

#include "kernels/parallel_rows.h"
#include "kernels/simd_tensor.h"

namespace bw {

at::Tensor norm_modulate(const at::Tensor& x, const Affine& affine, const ShiftScale& modulation,
                         double eps) {
  if (!x.device().is_cpu() || !norm_modulate_fits(x, affine, modulation)) {
    return norm_modulate_ref(x, affine, modulation, eps);
  }
  const std::int64_t batch = x.size(0), rows = x.size(1), dim = x.size(2);
  const at::ScalarType type =
      common_type({&affine.weight, &affine.bias, &modulation.shift, &modulation.scale});
  const RowParameter weight = row_parameter(affine.weight, type, dim),
                     bias = row_parameter(affine.bias, type, dim),
                     shift = row_parameter(modulation.shift, type, dim),
                     scale = row_parameter(modulation.scale, type, dim);
  at::Tensor y = at::empty({batch, rows, dim}, x.options());
  parallel_rows({batch, rows, dim}, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
    const NormModulateRows call{.x = entry(x, b),
                                .y = const_cast<void*>(entry(y, b)),
                                .stride = x.stride(1),
                                .dim = dim,
                                .weight = weight.at(b),
                                .bias = bias.at(b),
                                .shift = shift.at(b),
                                .scale = scale.at(b),
                                .eps = static_cast<float>(eps)};
    simd_kernels().norm_modulate(call, *element_of(x), *element_of(type), begin, end);
  });
  return y;
}

}  // namespace bw
