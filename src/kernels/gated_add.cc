#include "kernels/gated_add.h"

#include <ATen/ATen.h>

#include "kernels/parallel_rows.h"
#include "kernels/simd_tensor.h"

namespace bw {

at::Tensor gated_add(const at::Tensor& hidden, const at::Tensor& output, const at::Tensor& gate) {
  if (!hidden.device().is_cpu() || !gated_add_fits(hidden, output, gate)) {
    return gated_add_ref(hidden, output, gate);
  }
  const std::int64_t batch = hidden.size(0), rows = hidden.size(1), dim = hidden.size(2);
  const RowParameter gates = row_parameter(gate, gate.scalar_type(), dim);
  at::Tensor y = at::empty({batch, rows, dim}, hidden.options());
  parallel_rows({batch, rows, dim}, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
    const GatedAddRows call{.hidden = entry(hidden, b),
                            .output = entry(output, b),
                            .gate = gates.at(b),
                            .y = const_cast<void*>(entry(y, b)),
                            .hidden_stride = hidden.stride(1),
                            .output_stride = output.stride(1),
                            .dim = dim};
    simd_kernels().gated_add(call, *element_of(hidden), *element_of(gate), begin, end);
  });
  return y;
}

}  // namespace bw
