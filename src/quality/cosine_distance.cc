// cosine_distance = 1 - a·b / (|a| |b|) of each latent frame [C,H,W] as one vector, in float64. Two
// zero vectors have distance 0, one has distance 1. A distance, not a similarity: limits are upper.
#include <ATen/ATen.h>

#include "quality/metric.h"

namespace bw {
namespace {

std::vector<double> cosine_distance(const at::Tensor& video, const at::Tensor& reference) {
  std::vector<double> values;
  for (std::int64_t frame = 0; frame < video.size(2); ++frame) {
    const at::Tensor a = video.select(2, frame).to(at::kDouble);
    const at::Tensor b = reference.select(2, frame).to(at::kDouble);
    const double norms = a.norm().item<double>() * b.norm().item<double>();
    const bool both_zero = !a.any().item<bool>() && !b.any().item<bool>();
    values.push_back(norms > 0 ? 1 - (a * b).sum().item<double>() / norms : both_zero ? 0 : 1);
  }
  return values;
}

}  // namespace

MetricInfo cosine_distance_metric() {
  return {.name = "cosine_distance",
          .unit = "",
          .summary = "1 - cosine of each latent frame, 0 for the same direction",
          .better = Better::kLower,
          .kind = ClipKind::kLatents,
          .measure = cosine_distance};
}

}  // namespace bw
