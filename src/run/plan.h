// Everything a run needs, resolved: no optional that means "default", no sentinel. Made by
// run/resolve.h. The model part is what a loaded model depends on; the clip part is everything
// else, so that many clips run on one model.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/json.h"

namespace bw {

struct ModelPlan {
  std::filesystem::path bundle;
  std::string dtype;   // "float32" | "bfloat16"
  std::string device;  // "cpu", "cuda:0" …
  bool deterministic = false;
  int threads = 1;
  std::string quantize = "none";  // "none" | "int8"
  bool int8_variant = false;      // the cache computes some blocks in int8
  bool rewrite = true;            // fused operators and packed weights (torchscript/rewrite.h)
  // "rule" or a form of kernels/attention.h; "auto" until settle_attention() of attention_choice.h.
  std::string attention = "rule";
};

struct GuidancePlan {
  bool enabled = false;  // false: the conditional branch alone
  double scale = 1;
  double rescale = 0;  // 0 … 1
  double start = 0;    // guidance is on for steps k with start <= k / num_steps < end
  double end = 1;
  bool batched = false;
  bool distilled = false;  // the model takes the scale as an input; there is one branch
};

struct CachePlan {
  std::string policy = "none";
  std::string preset;  // name of the preset the parameters came from; empty: none
  Json params = Json::object();
  double start = 0;
  double end = 1;
  std::int64_t warmup = 0;
  std::int64_t cooldown = 0;
  std::int64_t max_consecutive = 0;  // 0: no limit
  std::optional<std::uint64_t> budget_bytes;
  std::optional<std::filesystem::path> replay;
  bool shadow = false;  // CacheSetup::shadow
  bool fail_if_inert = false;
};

struct OutputPlan {
  std::filesystem::path video;
  std::string codec;       // empty: the format's default
  std::optional<int> crf;  // absent: the format's default
  std::string encoder_preset;
  bool metadata = true;
  std::optional<std::filesystem::path> report;  // JSON
  std::optional<std::filesystem::path> page;    // HTML
  std::optional<std::filesystem::path> latents;
};

struct ClipPlan {
  std::string prompt;
  std::string negative_prompt;
  std::optional<std::filesystem::path> prompt_embeds;
  std::optional<std::filesystem::path> noise;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t num_frames = 0;
  double fps = 0;
  std::int64_t seed = 0;
  std::int64_t steps = 0;
  std::string sampler;              // name in the table of schedulers
  Json scheduler = Json::object();  // its configuration
  GuidancePlan guidance;
  CachePlan cache;
  OutputPlan output;
};

struct Plan {
  ModelPlan model;
  ClipPlan clip;
  std::map<std::string, std::string>
      sources;  // option key -> "--steps", "config fox.json", "bundle", "default"
};

// With `paths`: what --dry-run prints. Without: what the video file carries, which is the same
// wherever the plan runs.
[[nodiscard]] Json plan_to_json(const Plan& plan, bool paths);

// What a config's `cache` holds beside the policy's parameters, by the names it has in a plan too.
inline constexpr std::array<const char*, 6> kCacheConfigKeys = {
    "policy", "start", "end", "warmup", "cooldown", "max_consecutive"};
// The `cache` of a config: these parameters, policy and guards of a plan's `cache`.
[[nodiscard]] Json cache_config(Json params, const Json& plan_cache);

}  // namespace bw
