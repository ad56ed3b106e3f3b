#include "cache/wiener_filter.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace bw {
namespace {

// The published code's: keep the gain finite at f = 0 and at both ends of the run.
constexpr double kTiny = 1e-16;
constexpr double kLeastShare = 1e-6;  // of content and of noise

// Of an axis of `size` places: [size] f64.
at::Tensor axis_gain(std::int64_t size, const WienerFilter& filter, const at::Tensor& like) {
  const double noise = std::clamp(filter.sigma, kLeastShare, 1 - kLeastShare);
  const double content = 1 - noise;
  const at::Tensor frequency = at::fft_fftfreq(size, 1.0, like.options().dtype(at::kDouble)).abs();
  const at::Tensor power = (frequency.pow(filter.spectrum) + kTiny).reciprocal();
  return power * content / (power * (content * content) + (noise * noise + kTiny));
}

}  // namespace

at::Tensor wiener_filtered(const at::Tensor& tokens, const std::array<std::int64_t, 3>& grid,
                           const WienerFilter& filter) {
  at::Tensor values = tokens.to(at::kFloat);
  if (values.size(1) != grid[0] * grid[1] * grid[2]) return values;
  at::Tensor gain = axis_gain(grid[0], filter, values).reshape({-1, 1, 1, 1}) *
                    axis_gain(grid[1], filter, values).reshape({-1, 1, 1}) *
                    axis_gain(grid[2], filter, values).reshape({-1, 1});
  gain = (gain / gain.mean()).to(at::kFloat);  // [F,H,W,1]
  const at::Tensor by_place =
      values.reshape({values.size(0), grid[0], grid[1], grid[2], values.size(2)});
  constexpr std::array<std::int64_t, 3> kAxes = {1, 2, 3};
  const at::Tensor spectrum = at::fft_fftn(by_place, std::nullopt, kAxes);
  const at::Tensor filtered = at::fft_ifftn(spectrum * gain, std::nullopt, kAxes);
  return at::real(filtered).reshape(values.sizes()).contiguous();
}

}  // namespace bw
