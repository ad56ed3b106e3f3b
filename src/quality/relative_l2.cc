// relative_l2 = |a - b|₂ / |b|₂ of each latent frame [C,H,W], in float64: also sees a change of
// length, which cosine_distance does not. Infinite where the reference alone is zero.
#include <ATen/ATen.h>

#include <limits>

#include "quality/metric.h"

namespace bw {
namespace {

std::vector<double> relative_l2(const at::Tensor& video, const at::Tensor& reference) {
  std::vector<double> values;
  for (std::int64_t frame = 0; frame < video.size(2); ++frame) {
    const at::Tensor b = reference.select(2, frame).to(at::kDouble);
    const double error = (video.select(2, frame).to(at::kDouble) - b).norm().item<double>();
    const double norm = b.norm().item<double>();
    const double if_zero = error > 0 ? std::numeric_limits<double>::infinity() : 0;
    values.push_back(norm > 0 ? error / norm : if_zero);
  }
  return values;
}

}  // namespace

MetricInfo relative_l2_metric() {
  return {.name = "relative_l2",
          .unit = "",
          .summary = "L2 norm of the difference of each latent frame, relative to the reference's",
          .better = Better::kLower,
          .kind = ClipKind::kLatents,
          .measure = relative_l2};
}

}  // namespace bw
