#include <ATen/ATen.h>

#include "kernels/relative_l1.h"

namespace bw {

RelativeL1Sums relative_l1_sums_ref(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor a64 = a.to(at::kDouble);
  const at::Tensor b64 = b.to(at::kDouble);
  return {(a64 - b64).abs().sum().item<double>(), b64.abs().sum().item<double>()};
}

}  // namespace bw
