// What a run did: the versioned JSON beside the video, and the part of it that the video carries.
// Schema: configs/schema/report.schema.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/cache_report.h"
#include "run/memory.h"
#include "run/plan.h"

namespace bw {

// Wall-clock seconds; on a GPU `steps` is what the device took, and `scheduler` what handing the
// work over took. The parts of `denoise` are inside it; `encode` is what encoding added after
// the last frame was decoded (the rest of it ran beside the decoder).
struct Timings {
  double load = 0;
  double text = 0;
  double denoise = 0;
  double scheduler = 0;
  double decode = 0;
  double encode = 0;
  double total = 0;
  std::vector<double> steps;  // each scheduler step
};

struct PromptReport {
  std::int64_t tokens = 0;
  std::int64_t cut_tokens = 0;
  std::string cut_text;
};

struct OutputReport {
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t num_frames = 0;
};

struct Report {
  Plan plan;
  std::string bundle_name;
  std::string bundle_hash;
  std::string latents_hash;  // sha256 of the final latents' bytes
  PromptReport prompt;
  Timings timings;
  CacheReport cache;
  DeclaredMemory memory;
  std::uint64_t peak_memory_bytes = 0;
  std::optional<std::uint64_t> peak_device_bytes;  // of a run on a device other than the CPU
  OutputReport output;
};

[[nodiscard]] Json report_to_json(const Report& report);

// What is the same in every run of a plan (no paths, no timings): kept in the video's metadata,
// read by --from.
[[nodiscard]] Json metadata_to_json(const Report& report);

// The table of --cache-summary.
[[nodiscard]] std::string cache_summary(const Report& report);

}  // namespace bw
