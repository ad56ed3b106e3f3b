// The unconditional prediction from the conditional one: FasterCache's CFG-Cache (arXiv 2410.19355,
// eq. 9-11). The kept difference is split into a low and a high band of spatial frequencies, each
// with its own weight.
#pragma once

#include <ATen/core/Tensor.h>

#include "cache/cache_policy.h"

namespace bw {

// ε_c + low · Δ_low + high · Δ_high. cond ε_c and delta Δ = ε_u − ε_c: [1,C,F,H,W] f32. The low
// band is a disc around the zero frequency of each latent frame's 2-D spectrum, of radius min(H,W)
// div 5, as in the released code. Equal weights need no transform.
[[nodiscard]] at::Tensor uncond_from_cond(const at::Tensor& cond, const at::Tensor& delta,
                                          const CfgWeights& weights);

}  // namespace bw
