// SSIM (Wang et al., 2004, "Image quality assessment: from error visibility to structural
// similarity", eq. 13) of each RGB channel in [0,1] and float64: Gaussian window 11x11 with
// sigma 1.5, C1 = 0.01², C2 = 0.03², biased variances, and only where the whole window lies inside
// the frame (5 pixels less at each side); mean over the map, then over channels.
#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "quality/metric.h"

namespace bw {
namespace {

constexpr int kWindow = 11;
constexpr double kSigma = 1.5;
constexpr double kC1 = 0.01 * 0.01;
constexpr double kC2 = 0.03 * 0.03;

std::array<double, kWindow> gaussian() {
  std::array<double, kWindow> weights{};
  double sum = 0;
  for (int i = 0; i < kWindow; ++i) {
    const double x = i - kWindow / 2;
    weights[static_cast<std::size_t>(i)] = std::exp(-x * x / (2 * kSigma * kSigma));
    sum += weights[static_cast<std::size_t>(i)];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

// Weighted sum of 11 shifted copies along `dim`, valid region only.
at::Tensor blur_along(const at::Tensor& map, std::int64_t dim) {
  static const std::array<double, kWindow> kWeights = gaussian();
  const std::int64_t length = map.size(dim) - kWindow + 1;
  at::Tensor sum = map.narrow(dim, 0, length) * kWeights[0];
  for (int i = 1; i < kWindow; ++i) {
    sum.add_(map.narrow(dim, i, length), kWeights[static_cast<std::size_t>(i)]);
  }
  return sum;
}

// The window is separable: the product of its two directions.
at::Tensor blur(const at::Tensor& map) { return blur_along(blur_along(map, 0), 1); }

double frame_ssim(const at::Tensor& first, const at::Tensor& second) {  // uint8 [H,W,3]
  const at::Tensor a = first.to(at::kDouble).div_(255.0);
  const at::Tensor b = second.to(at::kDouble).div_(255.0);
  const at::Tensor mean_a = blur(a);
  const at::Tensor mean_b = blur(b);
  const at::Tensor variance_a = blur(a * a) - mean_a * mean_a;
  const at::Tensor variance_b = blur(b * b) - mean_b * mean_b;
  const at::Tensor covariance = blur(a * b) - mean_a * mean_b;
  const at::Tensor numerator = (2 * mean_a * mean_b + kC1) * (2 * covariance + kC2);
  const at::Tensor denominator =
      (mean_a * mean_a + mean_b * mean_b + kC1) * (variance_a + variance_b + kC2);
  // All channels have as many positions, so the mean of all is the mean of the channels' means.
  return (numerator / denominator).mean().item<double>();
}

std::vector<double> ssim(const at::Tensor& a, const at::Tensor& b) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < a.size(0); ++i) values.push_back(frame_ssim(a[i], b[i]));
  return values;
}

}  // namespace

MetricInfo ssim_metric() {
  return {.name = "ssim",
          .unit = "",
          .summary = "structural similarity per RGB channel, 1 for equal frames",
          .better = Better::kHigher,
          .min_side = kWindow,
          .measure = ssim};
}

}  // namespace bw
