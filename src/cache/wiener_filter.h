// SeaCache's filter (arXiv 2602.18993): features are compared after what the optimal linear
// denoiser of the current noise level would remove has been removed, so that a distance follows the
// content and not the noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace bw {

struct WienerFilter {
  double sigma = 0;     // noise level of a flow model, 0 … 1
  double spectrum = 3;  // p > 0: the content's power falls off as |f|^−p
};

// tokens [B,N,D] in frame-major order, N = product of grid {F,H,W}; any dtype, returned in f32.
// Along the grid, each channel's spectrum is multiplied by G(f) / mean(G), where
//   G(f) = Π_axes (1 − σ) S / ((1 − σ)² S + σ²),   S = |f|^−p,
// |f| in cycles per place of the axis. As published code has it (eq. 7). Other N than the grid's
// pass unfiltered.
[[nodiscard]] at::Tensor wiener_filtered(const at::Tensor& tokens,
                                         const std::array<std::int64_t, 3>& grid,
                                         const WienerFilter& filter);

}  // namespace bw
