// Sums over two consecutive frames, shared by the metrics of flicker. Read flicker.cc first.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace bw {

// Mean absolute change from each frame to the next, in 8-bit levels: n-1 values.
// clip: uint8 [n,H,W,3], contiguous, n >= 2.
[[nodiscard]] std::vector<double> frame_changes(const at::Tensor& clip);

// Mean absolute difference of the changes of two clips of one shape, in 8-bit levels: n-1 values.
[[nodiscard]] std::vector<double> change_differences(const at::Tensor& a, const at::Tensor& b);

}  // namespace bw
