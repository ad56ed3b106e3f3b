#include "bundle/video_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <sstream>

#include "base/check.h"
#include "base/error.h"
#include "bundle/code_library.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {

struct VideoDecoder::Impl {
  LatentGeometry geometry;
  at::ScalarType dtype = at::kFloat;
  c10::Device device = c10::Device(c10::kCPU);
  std::string place;
  torch::jit::Method initial;
  torch::jit::Method step;
  at::Tensor mean;  // f32 [1,C,1,1,1]
  at::Tensor std;
};

namespace {

at::Tensor per_channel(const std::vector<double>& values) {
  return at::tensor(values).to(at::kFloat).view({1, -1, 1, 1, 1});
}

// [1,n,3,h,w] in about [0,1] → uint8 [n,h,w,3] on the CPU
at::Tensor to_bytes(const at::Tensor& frames) {
  return frames.squeeze(0)
      .to(at::kFloat)
      .clamp(0, 1)
      .mul(255)
      .round()
      .to(at::kByte)
      .permute({0, 2, 3, 1})
      .contiguous()
      .to(at::kCPU);
}

}  // namespace

VideoDecoder::VideoDecoder(const Manifest& manifest, const Execution& execution,
                           const WeightSet& weights) {
  const c10::InferenceMode guard;
  constexpr ArgumentSpec kLatent{"latent", ValueKind::kTensor};
  constexpr ArgumentSpec kCaches{"caches", ValueKind::kTuple};
  CodeLibrary code(manifest, execution, weights);
  const std::string place = code.place(manifest.decoder);
  const torch::jit::Module module = code.bound(manifest.decoder, "");
  impl_ = std::make_unique<const Impl>(Impl{
      .geometry = manifest.latent,
      .dtype = execution.dtype,
      .device = execution.device(),
      .place = place,
      .initial = find_method(module, {"initial", {kLatent}, ValueKind::kTuple}, place),
      .step = find_method(module, {"step", {kLatent, kCaches}, ValueKind::kTensorAndTuple}, place),
      .mean = per_channel(manifest.latent.mean).to(execution.device()),
      .std = per_channel(manifest.latent.std).to(execution.device())});
}

VideoDecoder::~VideoDecoder() = default;

void VideoDecoder::decode(const at::Tensor& latent, const FrameConsumer& consume,
                          std::int64_t chunk) const {
  const c10::InferenceMode guard;
  const LatentGeometry& geometry = impl_->geometry;
  BW_CHECK(chunk >= 1);
  BW_CHECK(latent.dim() == 5 && latent.size(0) == 1 && latent.size(1) == geometry.channels);
  const at::Tensor scaled =
      (latent.to(impl_->device, at::kFloat) * impl_->std + impl_->mean).to(impl_->dtype);
  c10::IValue caches = call(impl_->initial, {scaled.narrow(2, 0, 1)}, impl_->place);
  std::int64_t to_drop = geometry.leading_frames;
  for (const at::Tensor& piece : scaled.split(chunk, 2)) {
    const c10::IValue result = call(impl_->step, {piece, caches}, impl_->place);
    const at::Tensor frames = result.toTupleRef().elements()[0].toTensor();
    caches = result.toTupleRef().elements()[1];
    check_frames(frames, piece);
    const std::int64_t dropped = std::min(to_drop, frames.size(1));
    to_drop -= dropped;
    const std::int64_t kept = frames.size(1) - dropped;
    if (kept > 0) consume(to_bytes(frames.narrow(1, dropped, kept)));
  }
}

void VideoDecoder::check_frames(const at::Tensor& frames, const at::Tensor& piece) const {
  const LatentGeometry& geometry = impl_->geometry;
  const std::vector<std::int64_t> expected = {1, piece.size(2) * geometry.temporal_stride, 3,
                                              piece.size(3) * geometry.spatial_stride,
                                              piece.size(4) * geometry.spatial_stride};
  if (frames.sizes() != at::IntArrayRef(expected)) {
    std::ostringstream message;
    message << impl_->place << ": step() returned frames of " << frames.sizes() << "; expected "
            << at::IntArrayRef(expected) << " (latent.spatial_stride, latent.temporal_stride)";
    throw InputError(message.str());
  }
  if (!at::isfinite(frames).all().item<bool>()) {
    throw InputError(impl_->place +
                     ": the decoder made values that are not finite; the latents are not, or " +
                     dtype_name(impl_->dtype) + " is too narrow for this model");
  }
}

}  // namespace bw
