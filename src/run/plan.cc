#include "run/plan.h"

namespace bw {
namespace {

Json guidance_to_json(const GuidancePlan& guidance) {
  return {{"enabled", guidance.enabled}, {"scale", guidance.scale}, {"rescale", guidance.rescale},
          {"start", guidance.start},     {"end", guidance.end},     {"batched", guidance.batched}};
}

Json cache_to_json(const CachePlan& cache, bool paths) {
  Json json = {{"policy", cache.policy}};
  if (!cache.preset.empty()) json["preset"] = cache.preset;
  json["params"] = cache.params;
  json["start"] = cache.start;
  json["end"] = cache.end;
  json["warmup"] = cache.warmup;
  json["cooldown"] = cache.cooldown;
  json["max_consecutive"] = cache.max_consecutive;
  if (cache.budget_bytes) json["budget_bytes"] = *cache.budget_bytes;
  if (paths && cache.replay) json["replay"] = cache.replay->string();
  return json;
}

Json output_to_json(const OutputPlan& output, bool paths) {
  Json json = Json::object();
  if (paths) json["video"] = output.video.string();
  json["codec"] = output.codec;
  if (output.crf) json["crf"] = *output.crf;
  if (!output.encoder_preset.empty()) json["encoder_preset"] = output.encoder_preset;
  json["metadata"] = output.metadata;
  if (paths && output.report) json["report"] = output.report->string();
  if (paths && output.page) json["page"] = output.page->string();
  if (paths && output.latents) json["latents"] = output.latents->string();
  return json;
}

}  // namespace

Json plan_to_json(const Plan& plan, bool paths) {
  const ClipPlan& clip = plan.clip;
  Json json = Json::object();
  if (paths) json["model"] = plan.model.bundle.string();
  json["dtype"] = plan.model.dtype;
  json["device"] = plan.model.device;
  json["deterministic"] = plan.model.deterministic;
  json["threads"] = plan.model.threads;
  json["rewrite"] = plan.model.rewrite;
  json["quantize"] = plan.model.quantize;
  json["attention"] = plan.model.attention;
  json["prompt"] = clip.prompt;
  json["negative_prompt"] = clip.negative_prompt;
  if (clip.prompt_embeds) json["prompt_embeds"] = paths ? clip.prompt_embeds->string() : "file";
  if (clip.noise) json["noise"] = paths ? clip.noise->string() : "file";
  json["width"] = clip.width;
  json["height"] = clip.height;
  json["num_frames"] = clip.num_frames;
  json["fps"] = clip.fps;
  json["seed"] = clip.seed;
  json["steps"] = clip.steps;
  json["sampler"] = clip.sampler;
  json["scheduler"] = clip.scheduler;
  json["guidance"] = guidance_to_json(clip.guidance);
  json["cache"] = cache_to_json(clip.cache, paths);
  json["output"] = output_to_json(clip.output, paths);
  return json;
}

Json cache_config(Json params, const Json& plan_cache) {
  for (const char* key : kCacheConfigKeys) params[key] = plan_cache.at(key);
  return params;
}

}  // namespace bw
