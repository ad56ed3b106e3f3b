// PSNR = 20·log10(1/√mse) in dB, with the mean square error of one frame over its three channels in
// [0,1]; 100 dB when mse < 1e-10 (equal frames), as the shared evaluation scripts have it. The
// squared error is summed in integers: exact.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "quality/metric.h"

namespace bw {
namespace {

constexpr double kEqualMse = 1e-10;
constexpr double kEqualPsnr = 100.0;
// Squares of bytes that a 32-bit sum holds.
constexpr std::int64_t kChunk = 32768;

std::int64_t squared_error(const std::uint8_t* a, const std::uint8_t* b, std::int64_t count) {
  std::int64_t total = 0;
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    const std::int64_t end = std::min(begin + kChunk, count);
    std::int32_t sum = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int32_t difference = a[i] - b[i];
      sum += difference * difference;
    }
    total += sum;
  }
  return total;
}

std::vector<double> psnr(const at::Tensor& video, const at::Tensor& reference) {
  const std::int64_t size = video[0].numel();
  const auto* a = video.const_data_ptr<std::uint8_t>();
  const auto* b = reference.const_data_ptr<std::uint8_t>();
  std::vector<double> values(static_cast<std::size_t>(video.size(0)));
  at::parallel_for(0, video.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto sum = static_cast<double>(squared_error(a + i * size, b + i * size, size));
      const double mse = sum / (255.0 * 255.0) / static_cast<double>(size);
      values[static_cast<std::size_t>(i)] =
          mse < kEqualMse ? kEqualPsnr : 20.0 * std::log10(1.0 / std::sqrt(mse));
    }
  });
  return values;
}

}  // namespace

MetricInfo psnr_metric() {
  return {.name = "psnr",
          .unit = "dB",
          .summary = "peak signal-to-noise ratio per frame; 100 dB for equal frames",
          .better = Better::kHigher,
          .measure = psnr};
}

}  // namespace bw
