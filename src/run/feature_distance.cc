#include "run/feature_distance.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "kernels/relative_l1.h"

namespace bw {

double relative_l1(const Hidden& a, const Hidden& b) {
  BW_CHECK(a.size() == b.size());
  RelativeL1Sums sums;
  for (std::size_t stream = 0; stream < a.size(); ++stream) {
    sums += relative_l1_sums(a[stream], b[stream]);
  }
  return sums.distance();
}

Hidden cloned(const Hidden& hidden) {
  Hidden copy;
  copy.reserve(hidden.size());
  for (const at::Tensor& tensor : hidden)
    copy.push_back(tensor.clone(at::MemoryFormat::Contiguous));
  return copy;
}

}  // namespace bw
