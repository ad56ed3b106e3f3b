#include "run/cache_setup.h"

#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "cache/replay.h"
#include "run/guidance.h"
#include "run/run_record.h"

namespace bw {
namespace {

std::vector<BlockInfo> block_infos(const Manifest& manifest, const Expert& expert) {
  std::vector<BlockInfo> blocks;
  blocks.reserve(expert.blocks.size());
  for (const BlockEntry& block : expert.blocks) {
    blocks.push_back({block.kind, manifest.kinds.at(block.kind).stages});
  }
  return blocks;
}

std::array<std::int64_t, 3> token_grid(const LatentShape& shape, const StreamInfo& stream) {
  return {shape.frames / stream.patch[0], shape.height / stream.patch[1],
          shape.width / stream.patch[2]};
}

// "off", "5", "5 from 0.1 to 0.9 rescaled by 0.7".
std::string guidance_text(const GuidancePlan& guidance) {
  constexpr int kDigits = 6;
  if (!guidance.enabled && !guidance.distilled) return "off";
  std::string text = significant(guidance.scale, kDigits);
  if (guidance.start > 0 || guidance.end < 1) {
    text += " from ";
    text += significant(guidance.start, kDigits);
    text += " to ";
    text += significant(guidance.end, kDigits);
  }
  if (guidance.rescale > 0) {
    text += " rescaled by ";
    text += significant(guidance.rescale, kDigits);
  }
  return text;
}

// Schedulers write the shift under one of two names.
std::string shift_text(const Json& scheduler) {
  if (scheduler.value("use_dynamic_shifting", false)) return "dynamic";
  for (const char* key : {"shift", "flow_shift"}) {
    if (const Json shift = scheduler.value(key, Json()); shift.is_number()) {
      return significant(shift.get<double>(), 6);
    }
  }
  return "1";
}

CacheTrace read_trace(const std::filesystem::path& report) {
  const Json record = read_run_record(report).whole;
  if (!record.contains("cache")) {
    reject(Origin::file(report.string()), "holds no decisions of a cache");
  }
  return trace_from_json(record.at("cache"), Origin::file(report.string() + ": cache"));
}

std::unique_ptr<CachePolicy> make_policy(const CachePlan& plan, const CacheLayout& layout,
                                         RunIdentity identity, std::int64_t steps) {
  RunShape shape{steps, {}, {}, std::move(identity)};
  for (const ExpertLayout& expert : layout.experts) {
    shape.blocks_per_expert.push_back(expert.blocks.size());
    std::vector<std::vector<std::string>>& stages = shape.stages.emplace_back();
    for (const BlockInfo& block : expert.blocks) stages.push_back(block.stages);
  }
  if (plan.replay) {
    return make_replay(read_trace(*plan.replay), Origin::file(plan.replay->string()),
                       layout.evaluations, shape);
  }
  const Origin origin = Origin::flag("--cache " + plan.policy);
  return find_cache_policy(plan.policy, origin).make(plan.params, origin, shape);
}

}  // namespace

bool wants_int8(const CachePlan& plan) {
  if (plan.replay) return uses_int8(read_trace(*plan.replay));
  const CachePolicyInfo& info = find_cache_policy(plan.policy, Origin::flag("--cache"));
  return info.uses_int8 != nullptr && info.uses_int8(plan.params);
}

LatentShape plan_latent_shape(const Plan& plan, const Manifest& manifest) {
  return latent_shape(
      manifest, {plan.clip.width, plan.clip.height, plan.clip.num_frames},
      {Origin::flag("--width"), Origin::flag("--height"), Origin::flag("--num-frames")});
}

std::unique_ptr<Schedule> make_schedule(const Plan& plan, const LatentShape& shape) {
  const Origin origin = Origin::flag("--sampler");
  return find_scheduler(plan.clip.sampler, origin)
      .make(plan.clip.scheduler, origin, {plan.clip.steps, shape.positions()});
}

CacheLayout cache_layout(const Plan& plan, const Manifest& manifest, const Schedule& schedule) {
  const LatentShape shape = plan_latent_shape(plan, manifest);
  const at::ScalarType dtype = find_dtype(manifest, plan.model.dtype, Origin::flag("--dtype"));
  const std::vector<std::int64_t> streams = hidden_bytes(manifest, shape, dtype, 1);
  CacheLayout layout;
  for (const Expert& expert : manifest.experts) {
    layout.experts.push_back(
        {block_infos(manifest, expert),
         static_cast<std::uint64_t>(
             std::accumulate(streams.begin(), streams.end(), std::int64_t{0})),
         static_cast<std::uint64_t>(streams.front()),
         static_cast<std::uint64_t>(streams.front()) * sizeof(float) / at::elementSize(dtype),
         token_grid(shape, manifest.streams.front())});
  }
  layout.prediction_bytes =
      static_cast<std::uint64_t>(shape.channels * shape.positions()) * sizeof(float);
  layout.batched = plan.clip.guidance.batched;
  const Guidance guidance(plan.clip.guidance, plan.clip.steps);
  for (const Evaluation& evaluation : schedule.evaluations()) {
    layout.evaluations.push_back({evaluation.index, evaluation.step, plan.clip.steps,
                                  evaluation.part, evaluation.sigma, evaluation.timestep,
                                  expert_at(manifest.experts, evaluation.timestep),
                                  guidance.active(evaluation.step)});
  }
  return layout;
}

RunIdentity calibration_identity(const Plan& plan, const Manifest& manifest) {
  constexpr std::size_t kHashDigits = 12;
  const ClipPlan& clip = plan.clip;
  std::string size = std::to_string(clip.width);
  size += 'x';
  size += std::to_string(clip.height);
  size += 'x';
  size += std::to_string(clip.num_frames);
  return {{"model", weights_hash(manifest).substr(0, kHashDigits)},
          {"sampler", clip.sampler},
          {"steps", std::to_string(clip.steps)},
          {"shift", shift_text(clip.scheduler)},
          {"guidance", guidance_text(clip.guidance)},
          {"size", size}};
}

CacheSetup make_cache_setup(const Plan& plan, const Manifest& manifest, const Schedule& schedule) {
  const CachePlan& cache = plan.clip.cache;
  CacheSetup setup;
  setup.layout = cache_layout(plan, manifest, schedule);
  setup.policy =
      make_policy(cache, setup.layout, calibration_identity(plan, manifest), plan.clip.steps);
  setup.guards = {cache.warmup, cache.cooldown, cache.start, cache.end, cache.max_consecutive};
  setup.budget_bytes = cache.budget_bytes;
  setup.shadow = cache.shadow;
  return setup;
}

EncodeOptions encode_options(const Plan& plan) {
  EncodeOptions options;
  options.codec = plan.clip.output.codec;
  options.crf = plan.clip.output.crf;
  options.preset = plan.clip.output.encoder_preset;
  return options;
}

}  // namespace bw
