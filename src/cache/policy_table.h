// The table of cache policies. A policy is one file policies/<name>.cc and one row of policies.inc;
// command line, configuration, `list`, report and conformance tests read it from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/params.h"
#include "cache/cache_policy.h"

namespace bw {

// How surely a policy does what its source says.
enum class Provenance : std::uint8_t {
  kExact,                 // loses nothing, or is our own definition
  kPublishedCode,         // follows released code
  kPublishedDescription,  // follows a paper's text
  kReconstruction,        // fills gaps of an incomplete description
};

[[nodiscard]] const char* provenance_name(Provenance provenance);

// What decides whether a table that was measured in one run holds in another: "steps" -> "30",
// "sampler" -> "euler" …, as run/cache_setup.cc fills it. Names and values hold none of ",;=".
using RunIdentity = std::map<std::string, std::string>;

// What a policy's parameters are resolved against ("10%" of the steps, "50%" of the blocks).
struct RunShape {
  std::int64_t num_steps = 0;
  std::vector<std::size_t> blocks_per_expert;
  // Per expert and block, the names of its stages in order; read by Site::kStage alone.
  std::vector<std::vector<std::vector<std::string>>> stages = {};
  RunIdentity identity = {};  // empty: unknown, tables are taken unchecked (made_for.h)
};

struct PolicyPreset {
  std::string_view name;
  std::string_view summary;  // with its source
  std::string_view params;   // JSON object; what it leaves out keeps its default
  // Known by this name to users of other programs: `--cache NAME` means policy and preset.
  bool is_name = false;
};

struct CachePolicyInfo {
  std::string_view name;  // on the command line
  std::string_view summary;
  Provenance provenance = Provenance::kExact;
  std::vector<ParamInfo> params;
  std::vector<PolicyPreset> presets;
  // What `tune` varies when it is told nothing: a JSON object, parameter -> list of values, or
  // "auto" for a threshold that recorded signals choose. Empty: nothing to tune.
  std::string_view tunable = "{}";
  // The parameter without which the policy refuses to run, and which `calibrate` measures
  // (calibrated_table.h). Empty: it needs none.
  std::string_view table = "";
  // Whether it computes blocks in int8 with these resolved parameters (CacheNeeds::int8); null:
  // never. Known without a run, for what is loaded hangs on it.
  bool (*uses_int8)(const Json& params) = nullptr;
  // All parameters with their values; unknown keys and bad values are rejected through `origin`.
  // Needs no model, so that a bad value is known before anything is loaded.
  Json (*resolve)(const Json& params, const Origin& origin) = nullptr;
  // Also rejects what does not fit the run, such as a block that the model lacks.
  std::unique_ptr<CachePolicy> (*make)(const Json& params, const Origin& origin,
                                       const RunShape& shape) = nullptr;
};

[[nodiscard]] std::span<const CachePolicyInfo> cache_policies();
// Rejects an unknown name with the nearest known one.
[[nodiscard]] const CachePolicyInfo& find_cache_policy(std::string_view name, const Origin& origin);
struct NamedPreset {
  const CachePolicyInfo* policy = nullptr;
  const PolicyPreset* preset = nullptr;
};

// Presets that are names of their own (PolicyPreset::is_name), of all policies.
[[nodiscard]] std::vector<NamedPreset> named_presets();

// The parameters of a preset; an unknown one is rejected with the nearest known one.
[[nodiscard]] Json preset_params(const CachePolicyInfo& policy, std::string_view preset,
                                 const Origin& origin);

}  // namespace bw
