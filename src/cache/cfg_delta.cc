#include "cache/cfg_delta.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace bw {
namespace {

// [H,W] f32: 1 in the low band. Frequencies are counted as the transform orders them: 0, 1, …, −1.
at::Tensor low_band(std::int64_t height, std::int64_t width, const at::Tensor& like) {
  const auto radius = static_cast<double>(std::min(height, width) / 5);
  const at::TensorOptions options = like.options().dtype(at::kFloat);
  const at::Tensor y = at::fft_fftfreq(height, 1.0, options).mul(static_cast<double>(height));
  const at::Tensor x = at::fft_fftfreq(width, 1.0, options).mul(static_cast<double>(width));
  const at::Tensor square = y.square().unsqueeze(1) + x.square().unsqueeze(0);
  return square.le(radius * radius).to(at::kFloat);
}

}  // namespace

at::Tensor uncond_from_cond(const at::Tensor& cond, const at::Tensor& delta,
                            const CfgWeights& weights) {
  if (weights.low == 0 && weights.high == 0) return cond;
  if (weights.low == weights.high) return at::add(cond, delta, weights.low);
  const at::Tensor spectrum = at::fft_fft2(delta);
  const at::Tensor mask = low_band(delta.size(-2), delta.size(-1), delta);
  const at::Tensor weighted = spectrum * (mask * (weights.low - weights.high) + weights.high);
  return cond + at::real(at::fft_ifft2(weighted));
}

}  // namespace bw
