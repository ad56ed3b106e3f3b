#include "run/latents.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <charconv>

#include "base/error.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

constexpr const char* kFormat = "bwcache-gen latents 1";

std::string shape_text(at::IntArrayRef sizes) {
  std::string text = "[";
  for (const std::int64_t size : sizes) {
    if (text.size() > 1) text += ',';
    text += std::to_string(size);
  }
  return text += ']';
}

at::Tensor take(const Safetensors& file, const std::filesystem::path& path,
                const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) {
    throw InputError(path.string() + ": holds no tensor '" + name + "'");
  }
  return found->second;
}

at::Tensor take_embedding(const Safetensors& file, const std::filesystem::path& path,
                          const std::string& name) {
  at::Tensor embedding = take(file, path, name);
  if (embedding.dim() != 3 || embedding.size(0) != 1 || !embedding.is_floating_point()) {
    throw InputError(path.string() + ": '" + name + "' must be floating point [1,T,C], got " +
                     shape_text(embedding.sizes()));
  }
  return embedding;
}

}  // namespace

at::Tensor draw_noise(std::int64_t seed, const LatentShape& shape) {
  at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
  return at::randn(shape.sizes(1), generator, at::TensorOptions().dtype(at::kFloat));
}

at::Tensor read_noise(const std::filesystem::path& file, const LatentShape& shape) {
  at::Tensor noise = take(read_safetensors(file), file, "noise");
  if (noise.sizes() != at::IntArrayRef(shape.sizes(1)) || noise.scalar_type() != at::kFloat) {
    throw InputError(file.string() + ": 'noise' must be f32 " + shape_text(shape.sizes(1)) +
                     ", got " + shape_text(noise.sizes()));
  }
  if (!noise.isfinite().all().item<bool>()) {
    throw InputError(file.string() + ": 'noise' holds values that are not finite");
  }
  return noise;
}

PromptEmbeds read_prompt_embeds(const std::filesystem::path& file) {
  const Safetensors tensors = read_safetensors(file);
  PromptEmbeds embeds{take_embedding(tensors, file, "prompt_embeds"), std::nullopt};
  if (tensors.tensors.contains("negative_prompt_embeds")) {
    embeds.uncond = take_embedding(tensors, file, "negative_prompt_embeds");
  }
  return embeds;
}

void write_latents(const std::filesystem::path& file, const SavedLatents& saved) {
  const std::pair<std::string, at::Tensor> tensor{"latents", saved.latents.contiguous()};
  write_safetensors(file, {&tensor, 1},
                    {{"format", kFormat},
                     {"plan", saved.plan.dump()},
                     {"bundle", saved.bundle},
                     {"steps", std::to_string(saved.steps)}});
}

SavedLatents read_latents(const std::filesystem::path& path) {
  const Safetensors file = read_safetensors(path);
  const auto metadata = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  if (metadata("format") != kFormat) {
    throw InputError(path.string() +
                     ": is no latents file of this program (--save-latents makes one)");
  }
  SavedLatents saved;
  saved.latents = take(file, path, "latents");
  if (saved.latents.dim() != 5 || saved.latents.scalar_type() != at::kFloat) {
    throw InputError(path.string() + ": 'latents' must be f32 [1,C,F,H,W], got " +
                     shape_text(saved.latents.sizes()));
  }
  saved.plan = parse_json(metadata("plan"), Origin::file(path.string() + ": plan"));
  saved.bundle = metadata("bundle");
  const std::string steps = metadata("steps");
  std::from_chars(steps.data(), steps.data() + steps.size(), saved.steps);
  return saved;
}

}  // namespace bw
