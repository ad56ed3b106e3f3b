#include "run/memory.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>

#include "base/files.h"
#include "cache/memory_plan.h"
#include "run/cache_setup.h"
#include "run/run_device.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

// Output width of the widest linear layer in any block.
std::int64_t widest_layer(const Manifest& manifest) {
  std::vector<std::filesystem::path> files;
  for (const HashedFile& file : manifest.weights) files.push_back(manifest.directory / file.file);
  const WeightSet weights(files);
  std::int64_t widest = 0;
  for (const Expert& expert : manifest.experts) {
    for (const BlockEntry& block : expert.blocks) {
      for (const std::string& name : weights.names()) {
        const at::Tensor& weight = *weights.find(name);
        if (weight.dim() == 2 && !block.prefix.empty() && name.starts_with(block.prefix)) {
          widest = std::max(widest, weight.size(0));
        }
      }
    }
  }
  return widest;
}

std::array<std::pair<const char*, std::uint64_t>, 5> parts(const DeclaredMemory& memory) {
  return {{{"weights", memory.weights},
           {"copies", memory.copies},
           {"cache", memory.cache},
           {"hidden", memory.hidden},
           {"activations", memory.activations}}};
}

}  // namespace

std::int64_t values_per_token(std::int64_t width, std::int64_t widest_layer) {
  return std::max(10 * width, widest_layer + 3 * width);
}

StateMemory state_memory(const Plan& plan, const Manifest& manifest) {
  const at::ScalarType dtype = find_dtype(manifest, plan.model.dtype, Origin::flag("--dtype"));
  const LatentShape shape = plan_latent_shape(plan, manifest);
  const bool is_batched = plan.clip.guidance.enabled && plan.clip.guidance.batched;
  const CacheSetup setup = make_cache_setup(plan, manifest, *make_schedule(plan, shape));
  StateMemory state{
      .streams = hidden_bytes(manifest, shape, dtype, is_batched ? 2 : 1),
      .cache = declared_cache_bytes(setup.policy->needs(), setup.guards, setup.layout)};
  for (const std::int64_t bytes : state.streams) {
    state.hidden += 2 * static_cast<std::uint64_t>(bytes);
  }
  return state;
}

DeclaredMemory declared_memory(const Plan& plan, const Manifest& manifest,
                               const WeightBytes& weights) {
  const StateMemory state = state_memory(plan, manifest);
  DeclaredMemory memory{.weights = weights.stored,
                        .copies = weights.copies,
                        .cache = state.cache,
                        .hidden = state.hidden};
  const std::int64_t widest = widest_layer(manifest);
  for (std::size_t i = 0; i < state.streams.size(); ++i) {
    const std::int64_t width = manifest.streams[i].dim;
    memory.activations +=
        static_cast<std::uint64_t>(state.streams[i] / width * values_per_token(width, widest));
  }
  return memory;
}

WeightBytes count_weights(const Plan& plan, const Manifest& manifest) {
  LoadOptions options;
  options.dtype = find_dtype(manifest, plan.model.dtype, Origin::flag("--dtype"));
  options.rewrite = plan.model.rewrite;
  options.int8 = plan.model.quantize == "int8";
  options.int8_variant = plan.model.int8_variant;
  options.device = device_of(plan.model);
  options.count_only = true;
  options.with_text_encoder = !plan.clip.prompt_embeds;
  return Bundle::load(manifest, options)->weight_bytes();
}

Json to_json(const DeclaredMemory& memory) {
  Json of = Json::object();
  for (const auto& [name, bytes] : parts(memory)) of[name] = bytes;
  return {{"declared_bytes", memory.total()}, {"declared", of}};
}

std::string to_text(const DeclaredMemory& memory) {
  std::string text = format_bytes(memory.total());
  const char* separator = ": ";
  for (const auto& [name, bytes] : parts(memory)) {
    if (bytes == 0) continue;
    text += separator;
    text += name;
    text += ' ';
    text += format_bytes(bytes);
    separator = ", ";
  }
  return text;
}

}  // namespace bw
