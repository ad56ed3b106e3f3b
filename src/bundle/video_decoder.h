// Latents → frames, a few at a time: constant memory, and encoding can run beside it.
// Read output/frame_sink.h for where the frames go.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "bundle/manifest.h"

namespace bw {

class WeightSet;
struct Execution;

// Thread-safe; decode() holds a c10::InferenceMode, also around the callback.
class VideoDecoder {
 public:
  // uint8 [n,H,W,3] RGB, contiguous, on the CPU; n >= 1.
  using FrameConsumer = std::function<void(const at::Tensor& frames)>;

  VideoDecoder(const Manifest& manifest, const Execution& execution, const WeightSet& weights);
  ~VideoDecoder();
  VideoDecoder(const VideoDecoder&) = delete;
  VideoDecoder& operator=(const VideoDecoder&) = delete;

  // latent: f32 [1,C,F,H,W] as the denoiser leaves it, on any device. Decodes `chunk` latent frames
  // per call of the model; what comes out does not depend on it. Hands over temporal_stride·F −
  // leading_frames frames in all.
  void decode(const at::Tensor& latent, const FrameConsumer& consume, std::int64_t chunk = 1) const;

 private:
  struct Impl;

  // Throws InputError when the frames of one step have another shape than the manifest says, or are
  // not finite.
  void check_frames(const at::Tensor& frames, const at::Tensor& piece) const;

  std::unique_ptr<const Impl> impl_;
};

}  // namespace bw
