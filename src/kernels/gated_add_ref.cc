#include <ATen/ATen.h>

#include "kernels/gated_add.h"
#include "kernels/simd_tensor.h"

namespace bw {

at::Tensor gated_add_ref(const at::Tensor& hidden, const at::Tensor& output,
                         const at::Tensor& gate) {
  const at::ScalarType wide = wide_type(hidden);
  return (hidden.to(wide) + output.to(wide) * gate.to(wide)).to(hidden.scalar_type());
}

bool gated_add_fits(const at::Tensor& hidden, const at::Tensor& output, const at::Tensor& gate) {
  return has_rows(hidden) && has_rows(output) && hidden.sizes() == output.sizes() &&
         hidden.device() == output.device() && hidden.scalar_type() == output.scalar_type() &&
         element_of(gate) && is_row_parameter(gate, hidden.size(0), hidden.size(2));
}

}  // namespace bw
