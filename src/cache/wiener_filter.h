// SeaCache's filter (arXiv 2602.18993): features are compared after what the optimal linear
// denoiser of the current noise level would remove has been removed, so that a distance follows the
// content and not the noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace bw {

// tokens [B,N,D] in frame-major order, N = product of grid {F,H,W}; any dtype, returned in f32.
// Along the grid, each channel's spectrum is multiplied by
//   G(f) = (1 − σ)² S(f) / ((1 − σ)² S(f) + σ²),   S(f) = |f|^−2 (1 for |f| ≤ 1),
// |f| in cycles over the grid. sigma σ in [0,1]: the noise level of a flow model.
// Reconstruction: the paper's exponent and constants could not be verified; natural images follow
// |f|^−2. Other N than the grid's pass unfiltered.
[[nodiscard]] at::Tensor wiener_filtered(const at::Tensor& tokens,
                                         const std::array<std::int64_t, 3>& grid, double sigma);

}  // namespace bw
