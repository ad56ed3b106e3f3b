#include "run/environment.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <torch/headeronly/version.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "base/files.h"
#include "kernels/device.h"
#include "output/frame_sink.h"
#include "run/run_device.h"

namespace bw {
namespace {

// The first value of a field of /proc/cpuinfo.
std::string processor_field(std::string_view field) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with(field)) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string processor_name() { return processor_field("model name"); }

// Those among the processor's instructions that matrix products and fused operators choose by.
std::string numeric_instructions() {
  constexpr std::array kChosenBy = {"avx2",        "fma",         "avx_vnni",    "avx512f",
                                    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16",
                                    "amx_int8",    "amx_fp16"};
  std::string all = " ";
  all += processor_field("flags");
  all += ' ';
  std::string found;
  for (const std::string_view name : kChosenBy) {
    std::string word = " ";
    word += name;
    word += ' ';
    if (all.find(word) == std::string::npos) continue;
    if (!found.empty()) found += ' ';
    found += name;
  }
  return found;
}

// Variables by which oneDNN and MKL are told to leave instructions out; those that are set.
Json library_settings() {
  Json settings = Json::object();
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
                           "MKL_CBWR", "ONEDNN_DEFAULT_FPMATH_MODE"}) {
    if (const char* value = std::getenv(name); value != nullptr) settings[name] = value;
  }
  return settings;
}

}  // namespace

Json environment_fingerprint(const ModelPlan& plan) {
  const c10::Device device = device_of(plan);
  return {{"program", BW_VERSION},
          {"torch", TORCH_VERSION},
          {"ffmpeg", ffmpeg_version()},
          {"processor", processor_name()},
          {"cpu_capability", at::get_cpu_capability()},
          {"threads", at::get_num_threads()},
          {"device", device.is_cpu() ? "cpu" : describe_device(device).name}};
}

Json numeric_fingerprint(const ModelPlan& plan) {
  const c10::Device device = device_of(plan);
  return {{"processor", processor_name()},
          {"instructions", numeric_instructions()},
          {"cpu_capability", at::get_cpu_capability()},
          {"library_settings", library_settings()},
          {"torch", TORCH_VERSION},
          {"threads", plan.threads},
          {"device", device.is_cpu() ? "cpu" : describe_device(device).name},
          {"dtype", plan.dtype},
          {"quantize", plan.quantize},
          {"rewrite", plan.rewrite},
          {"attention", plan.attention},
          {"deterministic", plan.deterministic}};
}

std::string fingerprint_hash(const Json& fingerprint) {
  return sha256(fingerprint.dump()).substr(0, 16);
}

std::optional<std::uint64_t> peak_device_bytes(const ModelPlan& plan) {
  const c10::Device device = device_of(plan);
  if (device.is_cpu()) return std::nullopt;
  const c10::CachingDeviceAllocator::DeviceStats stats =
      c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<std::uint64_t>(stats.allocated_bytes[kAll].peak);
}

void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace bw
