#include "cache/wiener_filter.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace bw {
namespace {

// |f|² [F,H,W] f32, in cycles over each side of the grid.
at::Tensor square_frequency(const std::array<std::int64_t, 3>& grid, const at::Tensor& like) {
  at::Tensor sum = at::zeros({1, 1, 1}, like.options().dtype(at::kFloat));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = grid[static_cast<std::size_t>(axis)];
    std::array<std::int64_t, 3> shape = {1, 1, 1};
    shape[static_cast<std::size_t>(axis)] = size;
    const at::Tensor f = at::fft_fftfreq(size, 1.0 / static_cast<double>(size), sum.options());
    sum = sum + f.square().reshape(shape);
  }
  return sum;
}

}  // namespace

at::Tensor wiener_filtered(const at::Tensor& tokens, const std::array<std::int64_t, 3>& grid,
                           double sigma) {
  const at::Tensor values = tokens.to(at::kFloat);
  if (values.size(1) != grid[0] * grid[1] * grid[2]) return values;
  const at::Tensor power = square_frequency(grid, values).clamp_min(1).reciprocal();  // |f|^-2
  const double kept = (1 - sigma) * (1 - sigma);
  // At pure noise nothing of the content is left to compare; the ratio of two such features must
  // still exist, so that level counts as almost pure.
  const at::Tensor signal = power * std::max(kept, 1e-6);
  const at::Tensor gain = signal / (signal + sigma * sigma);
  const at::Tensor by_place =
      values.reshape({values.size(0), grid[0], grid[1], grid[2], values.size(2)});
  constexpr std::array<std::int64_t, 3> kAxes = {1, 2, 3};
  const at::Tensor spectrum = at::fft_fftn(by_place, std::nullopt, kAxes);
  const at::Tensor filtered = at::fft_ifftn(spectrum * gain.unsqueeze(-1), std::nullopt, kAxes);
  return at::real(filtered).reshape(values.sizes()).contiguous();
}

}  // namespace bw
