#include "run/environment.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <torch/headeronly/version.h>

#include <fstream>
#include <string>

#include "kernels/device.h"
#include "output/frame_sink.h"
#include "run/run_device.h"

namespace bw {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      return colon == std::string::npos ? "unknown" : line.substr(colon + 2);
    }
  }
  return "unknown";
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
