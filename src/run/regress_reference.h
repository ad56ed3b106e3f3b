// What a case recorded, to be compared with: NAME.json with plan, bundle and, for every machine
// that recorded it, hashes, counts and memory; NAME.safetensors with the latents of the latest.
// Read regress_checks.h for the comparison.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/regress_case.h"

namespace bw {

// Of what a run consists, and how much of it was reused: evaluations as a whole, branches as a
// whole, blocks in any way, stages of blocks by themselves.
struct ReuseCount {
  std::int64_t total = 0;
  std::int64_t reused = 0;
  bool operator==(const ReuseCount&) const = default;
};
inline constexpr std::array kReuseCounts = {"evaluations", "branches", "blocks", "stages"};
using ReuseCounts = std::array<ReuseCount, kReuseCounts.size()>;

// One prompt and seed; f32 latents [1,C,F,H,W].
struct RegressClip {
  std::string prompt;
  std::int64_t seed = 0;
  at::Tensor uncached_latents;
  at::Tensor cached_latents;
  std::string uncached_hash;
  std::string cached_hash;
  ReuseCounts counts;
  double computed_fraction = 1;
  std::uint64_t cache_bytes = 0;
};

// What one machine recorded. Its clips have latents only in the run itself.
struct RegressRecord {
  Json fingerprint;  // numeric_fingerprint
  Json provenance;   // program, date, command, environment
  std::vector<RegressClip> clips;
  std::uint64_t peak_memory_bytes = 0;
};

struct RegressReference {
  Json plan;  // regress_plan_to_json
  std::string bundle_name;
  std::string bundle_hash;
  std::map<std::string, RegressRecord> machines;  // by fingerprint_hash
  std::string latents_of;                         // the machine whose latents are kept
  std::vector<at::Tensor> uncached_latents;       // f32 (kept as f16), by clip
  std::vector<at::Tensor> cached_latents;
};

// The cached plan without what belongs to the machine (threads, device) or to the clip; with
// "prompts" and "seeds".
[[nodiscard]] Json regress_plan_to_json(const RegressCase& regress_case, const Plan& cached);

[[nodiscard]] std::filesystem::path reference_latents_path(const RegressCase& regress_case);

// Throws InputError when there is none (says how to make it), when it is broken, or when its
// latents are not those that it was written with.
[[nodiscard]] RegressReference read_regress_reference(const RegressCase& regress_case);

// Both files are whole before either has its name. Throws OutputError.
void write_regress_reference(const RegressCase& regress_case, const RegressReference& reference);

}  // namespace bw
