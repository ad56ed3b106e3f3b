#include "run/run_device.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "kernels/device.h"
#include "run/memory.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

constexpr int kBFloat16Capability = 80;

std::uint64_t bytes_in(const at::Tensor& weight, at::ScalarType dtype) {
  const std::size_t element =
      weight.is_floating_point() ? c10::elementSize(dtype) : weight.element_size();
  return static_cast<std::uint64_t>(weight.numel()) * element;
}

std::uint64_t block_weights(const Manifest& manifest, at::ScalarType dtype) {
  std::vector<std::filesystem::path> files;
  for (const HashedFile& file : manifest.weights) files.push_back(manifest.directory / file.file);
  const WeightSet weights(files);
  std::uint64_t bytes = 0;
  for (const std::string& name : weights.names()) {
    const auto is_in_block = [&](const Expert& expert) {
      return std::any_of(expert.blocks.begin(), expert.blocks.end(), [&](const BlockEntry& block) {
        return !block.prefix.empty() && name.starts_with(block.prefix);
      });
    };
    if (std::any_of(manifest.experts.begin(), manifest.experts.end(), is_in_block)) {
      bytes += bytes_in(*weights.find(name), dtype);
    }
  }
  return bytes;
}

std::string with_unit(std::uint64_t bytes) {
  return format_bytes(bytes) + " (" + std::to_string(bytes) + " bytes)";
}

}  // namespace

c10::Device device_of(const ModelPlan& plan) {
  return parse_device(plan.device, Origin::flag("--device"));
}

void open_run_device(const ModelPlan& plan) {
  const c10::Device device = device_of(plan);
  set_deterministic(plan.deterministic);
  if (device.is_cuda() && plan.dtype == "bfloat16") {
    const DeviceInfo info = describe_device(device);
    if (info.capability < kBFloat16Capability) {
      throw ResourceError("--dtype bfloat16: " + info.name + " (" + plan.device +
                          ") has compute capability " + std::to_string(info.capability / 10) + "." +
                          std::to_string(info.capability % 10) +
                          "; bfloat16 needs 8.0 or newer; run with --dtype float32");
    }
  }
  open_device(device);
}

MemoryNeeds memory_needs(const Plan& plan, const Manifest& manifest) {
  const at::ScalarType dtype = find_dtype(manifest, plan.model.dtype, Origin::flag("--dtype"));
  const StateMemory state = state_memory(plan, manifest);
  return {.block_weights = block_weights(manifest, dtype),
          .cache = state.cache,
          .hidden = state.hidden};
}

void check_device_memory(const Plan& plan, const Manifest& manifest) {
  const c10::Device device = device_of(plan.model);
  if (device.is_cpu()) return;
  const DeviceInfo info = describe_device(device);
  const MemoryNeeds needs = memory_needs(plan, manifest);
  if (needs.total() <= info.free_bytes) return;
  throw ResourceError("--device " + plan.model.device + ": the run needs at least " +
                      with_unit(needs.total()) + ": " + format_bytes(needs.block_weights) +
                      " for the weights of the blocks, " + format_bytes(needs.cache) +
                      " for the cache, " + format_bytes(needs.hidden) + " for the hidden state; " +
                      info.name + " has " + with_unit(info.free_bytes) + " free of " +
                      format_bytes(info.total_bytes) +
                      "; free some, choose a smaller clip, another cache or --dtype bfloat16");
}

}  // namespace bw
