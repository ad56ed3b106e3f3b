// One run kept in memory: nothing is encoded or written. For commands that measure runs.
#pragma once

#include <ATen/core/Tensor.h>

#include "bundle/bundle.h"
#include "run/generate.h"

namespace bw {

struct RawClip {
  at::Tensor latents;  // [1,C,F,H,W] f32
  at::Tensor frames;   // uint8 [n,H,W,3]
  Report report;       // timings.decode too; not `encode`, `total` and the output
};

// Denoises and decodes. Throws Interrupted when the observer asks to stop.
[[nodiscard]] RawClip make_raw_clip(const Bundle& model, const Plan& plan, Observer& observer);

[[nodiscard]] at::Tensor decode_frames(const Bundle& model, const at::Tensor& latents);

// The plan with another prompt and seed.
[[nodiscard]] Plan with_clip(Plan plan, const std::string& prompt, std::int64_t seed);

}  // namespace bw
