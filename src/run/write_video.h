// Latents to a video file, and the promise that latents are not lost when that fails.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>

#include "bundle/bundle.h"
#include "run/latents.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/report.h"

namespace bw {

// --save-latents, else <output without extension>.latents.safetensors.
[[nodiscard]] std::filesystem::path latents_path(const Plan& plan);

// Decodes and encodes at the same time; fills the timings and the output's part of the report.
void write_video(const Bundle& model, const at::Tensor& latents, Report& report,
                 Observer& observer);

// Latents on disk while decoding and encoding are under way.
class KeptLatents {
 public:
  KeptLatents(const Plan& plan, const SavedLatents& latents);
  // Runs `work`. When it throws, the error is thrown on with the place of the latents; otherwise
  // they are removed, unless the user asked to keep them.
  void guard(const std::function<void()>& work) const;

 private:
  std::filesystem::path file_;
  bool wanted_;
};

}  // namespace bw
