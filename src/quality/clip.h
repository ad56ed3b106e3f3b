// What compare.h and the table of metrics need to know of a clip. Read metric.h for the two kinds.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "quality/metric.h"

namespace bw {

struct ClipShape {
  ClipKind kind = ClipKind::kFrames;
  std::int64_t frames = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 0;
};

// Throws InternalError when the tensor is neither uint8 [n,H,W,3] nor f32 [1,C,F,H,W] on the CPU.
[[nodiscard]] ClipShape clip_shape(const at::Tensor& clip);

// "17 frames of 128x128", "5 latent frames of 32x32 with 16 channels"
[[nodiscard]] std::string describe(const ClipShape& size);

}  // namespace bw
