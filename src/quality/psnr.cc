// PSNR = 20·log10(1/√mse) in dB, with the mean square error of one frame over its three channels in
// [0,1]; 100 dB when mse < 1e-10 (equal frames), as the shared evaluation scripts have it. The
// squared error is summed in int64: exact.
#include <ATen/ATen.h>

#include <cmath>

#include "quality/metric.h"

namespace bw {
namespace {

constexpr double kEqualMse = 1e-10;
constexpr double kEqualPsnr = 100.0;

double frame_psnr(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor difference = a.to(at::kInt) - b.to(at::kInt);
  const auto sum =
      static_cast<double>((difference * difference).sum(at::kLong).item<std::int64_t>());
  const double mse = sum / (255.0 * 255.0) / static_cast<double>(a.numel());
  return mse < kEqualMse ? kEqualPsnr : 20.0 * std::log10(1.0 / std::sqrt(mse));
}

std::vector<double> psnr(const at::Tensor& a, const at::Tensor& b) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < a.size(0); ++i) values.push_back(frame_psnr(a[i], b[i]));
  return values;
}

}  // namespace

MetricInfo psnr_metric() {
  return {.name = "psnr",
          .unit = "dB",
          .summary = "peak signal-to-noise ratio per frame; 100 dB for equal frames",
          .better = Better::kHigher,
          .min_side = 1,
          .measure = psnr};
}

}  // namespace bw
