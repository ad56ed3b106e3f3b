// Tensors a run starts from or leaves behind: noise, prompt embeddings, latents on disk.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/json.h"
#include "bundle/manifest.h"

namespace bw {

// Unit normal [1,C,F,H,W] f32 from torch's CPU generator: the same bits as
// torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)) in Python.
[[nodiscard]] at::Tensor draw_noise(std::int64_t seed, const LatentShape& shape);

// The tensor `noise` of a safetensors file as f32. Throws InputError when it is missing or of
// another shape.
[[nodiscard]] at::Tensor read_noise(const std::filesystem::path& file, const LatentShape& shape);

struct PromptEmbeds {
  at::Tensor cond;                   // [1,T,C]
  std::optional<at::Tensor> uncond;  // [1,T,C]
};

// `prompt_embeds` and, if present, `negative_prompt_embeds`. Throws InputError naming file, tensor
// and shape.
[[nodiscard]] PromptEmbeds read_prompt_embeds(const std::filesystem::path& file);

struct SavedLatents {
  at::Tensor latents;      // [1,C,F,H,W] f32, as the denoiser left them
  Json plan;               // the plan that made them, without paths
  std::string bundle;      // hash of the bundle that made them
  std::int64_t steps = 0;  // scheduler steps done, less than planned when the run was stopped
};

void write_latents(const std::filesystem::path& file, const SavedLatents& saved);
// Throws InputError when the file holds no latents of this program.
[[nodiscard]] SavedLatents read_latents(const std::filesystem::path& file);

}  // namespace bw
