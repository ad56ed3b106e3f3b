// A model: what is on disk (open) and what runs (load). Read manifest.h for the former,
// torchscript_denoiser.h, text_encoder.h and video_decoder.h for the latter, docs/bundle-format.md
// for the format.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bundle/manifest.h"
#include "bundle/text_encoder.h"
#include "bundle/torchscript_denoiser.h"
#include "bundle/video_decoder.h"
#include "torchscript/device_copies.h"

namespace bw {

struct LoadOptions {
  at::ScalarType dtype = at::kFloat;
  bool rewrite = true;  // see Execution in code_library.h, as for the next two
  bool int8 = false;
  bool int8_variant = false;
  c10::Device device = c10::Device(c10::kCPU);  // open already (kernels/device.h)
  // Parts that a run does not need may be left out (prompt embeddings given; latents only).
  bool with_text_encoder = true;
  bool with_denoiser = true;
  bool with_decoder = true;
  // Counts what the weights would need and prepares none; what is loaded must not run.
  bool count_only = false;
};

// A loaded model. Immutable, so that several clips and threads may use it; on the CPU
// weights are mapped, not read.
class Bundle {
 public:
  // The manifest alone, checked: enough for a dry run and `inspect`. Same as read_manifest.
  [[nodiscard]] static Manifest open(const std::filesystem::path& directory);

  // Checks hash, operators and signatures of the code, then binds the mapped weights. Throws
  // InputError. Sets the executor of TorchScript up for the whole process; call it before any other
  // use of TorchScript.
  [[nodiscard]] static std::shared_ptr<const Bundle> load(Manifest manifest,
                                                          const LoadOptions& options);

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] at::ScalarType dtype() const { return dtype_; }
  [[nodiscard]] c10::Device device() const { return device_; }
  [[nodiscard]] const WeightBytes& weight_bytes() const { return weight_bytes_; }
  // Throws InternalError when it was left out at load.
  [[nodiscard]] const Denoiser& denoiser() const;
  // Null when the bundle has none, or it was left out.
  [[nodiscard]] const TextEncoder* text_encoder() const { return text_encoder_.get(); }
  [[nodiscard]] const VideoDecoder* video_decoder() const { return video_decoder_.get(); }

 private:
  explicit Bundle(Manifest manifest) : manifest_(std::move(manifest)) {}

  Manifest manifest_;
  at::ScalarType dtype_ = at::kFloat;
  c10::Device device_ = c10::Device(c10::kCPU);
  WeightBytes weight_bytes_;
  std::unique_ptr<const Denoiser> denoiser_;
  std::unique_ptr<const TextEncoder> text_encoder_;
  std::unique_ptr<const VideoDecoder> video_decoder_;
};

// Compares the sha256 of every code and weight file with the manifest; `report` hears of each file
// that agrees. Throws InputError at the first that does not.
void verify_files(const Manifest& manifest, const std::function<void(const HashedFile&)>& report);

}  // namespace bw
