// A weighted sum of tensors in one pass: how a cache extrapolates. Read cache/rebuild.h for the
// weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace bw {

// Σ weights[i]·values[i] in f32, in this order, rounded once to the dtype of values[0]. All of one
// shape and device, at least one. On CUDA one pass, on the CPU one per term.
[[nodiscard]] at::Tensor combine(const std::vector<at::Tensor>& values,
                                 const std::vector<double>& weights);

}  // namespace bw
