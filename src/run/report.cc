#include "run/report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/files.h"
#include "run/environment.h"

namespace bw {
namespace {

constexpr int kFormatVersion = 1;

Json bundle_to_json(const Report& report) {
  return {{"name", report.bundle_name}, {"sha256", report.bundle_hash}};
}

Json memory_to_json(const Report& report) {
  Json json = to_json(report.memory);
  json["peak_bytes"] = report.peak_memory_bytes;
  if (report.peak_device_bytes) json["peak_device_bytes"] = *report.peak_device_bytes;
  return json;
}

Json timings_to_json(const Timings& timings) {
  return {{"load", timings.load},       {"text", timings.text},
          {"denoise", timings.denoise}, {"scheduler", timings.scheduler},
          {"decode", timings.decode},   {"encode", timings.encode},
          {"total", timings.total},     {"steps", timings.steps}};
}

char block_mark(const BranchPlan& done, std::size_t block) {
  if (done.reuse == Site::kBlock || done.reuse == Site::kMiddle)
    return leaves_out(done, block) ? '.' : is_int8(done, block) ? '~' : '#';
  if (done.reuse != Site::kStage) return done.reuse == Site::kNone ? '#' : '.';
  if (is_all_reused(done.stages[block])) return '.';
  const std::vector<bool>& stages = done.stages[block];
  return std::find(stages.begin(), stages.end(), true) == stages.end() ? '#' : '+';
}

// One character per block and step: '#' computed, '~' in int8, '+' some of its stages reused, '.'
// reused.
std::string step_map(const EvaluationRecord& evaluation) {
  if (evaluation.guided_reused || evaluation.branches.empty())
    return std::string(evaluation.num_blocks, '.');
  std::string map;
  const BranchPlan& done = evaluation.branches.front().done;
  for (std::size_t block = 0; block < evaluation.num_blocks; ++block) {
    map += block_mark(done, block);
  }
  return map;
}

}  // namespace

Json report_to_json(const Report& report) {
  Json sources = Json::object();
  for (const auto& [key, source] : report.plan.sources) sources[key] = source;
  return {{"format_version", kFormatVersion},
          {"kind", "bwcache-gen report"},
          {"plan", plan_to_json(report.plan, true)},
          {"sources", sources},
          {"environment", environment_fingerprint(report.plan.model)},
          {"bundle", bundle_to_json(report)},
          {"prompt",
           {{"tokens", report.prompt.tokens},
            {"cut_tokens", report.prompt.cut_tokens},
            {"cut_text", report.prompt.cut_text}}},
          {"timings", timings_to_json(report.timings)},
          {"memory", memory_to_json(report)},
          {"cache", to_json(report.cache)},
          {"latents_sha256", report.latents_hash},
          {"output",
           {{"path", report.output.path},
            {"bytes", report.output.bytes},
            {"num_frames", report.output.num_frames}}}};
}

Json metadata_to_json(const Report& report) {
  CacheReport done = report.cache;
  without_errors(done);  // a shadow run gives the same file
  Json cache = to_json(done);
  cache.erase("totals");  // holds timings, which differ from run to run
  return {{"format_version", kFormatVersion},
          {"kind", "bwcache-gen video"},
          {"program", BW_VERSION},
          {"plan", plan_to_json(report.plan, false)},
          {"bundle", bundle_to_json(report)},
          {"latents_sha256", report.latents_hash},
          {"cache", cache}};
}

std::string cache_summary(const Report& report) {
  const CacheReport& cache = report.cache;
  std::array<char, 256> line{};
  const std::int64_t stages_reused = cache.totals.stages_reused;
  std::string text = "step  blocks (# computed";
  if (stages_reused > 0) text += ", + in part";
  if (cache.totals.blocks_int8 > 0) text += ", ~ in int8";
  text += ", . reused)  indicator\n";
  for (const EvaluationRecord& evaluation : cache.evaluations) {
    const auto mean = evaluation.branches.empty()
                          ? std::nullopt
                          : mean_distance(evaluation.branches.front().distances);
    std::snprintf(line.data(), line.size(), "%4ld  %-30s  %s\n",
                  static_cast<long>(evaluation.context.step), step_map(evaluation).c_str(),
                  mean ? std::to_string(*mean).c_str() : "");
    text += line.data();
  }
  const CacheTotals& totals = cache.totals;
  std::snprintf(line.data(), line.size(),
                "%ld of %ld blocks computed (%.0f %% reused), cache %s, indicator %.1f ms\n",
                static_cast<long>(totals.blocks_computed), static_cast<long>(totals.blocks),
                100 * cache.reused_fraction(), format_bytes(totals.peak_bytes).c_str(),
                1e3 * totals.indicator_seconds);
  text += line.data();
  if (stages_reused > 0) text += std::to_string(stages_reused) + " stages of blocks reused\n";
  if (cache.totals.blocks_int8 > 0) {
    text += std::to_string(cache.totals.blocks_int8) + " of the blocks computed in int8\n";
  }
  if (const auto& shadow = cache.shadow) {
    std::snprintf(line.data(), line.size(),
                  "%ld reused values are off by %.4f in the mean, %.4f at most (relative L1)\n",
                  static_cast<long>(shadow->values), shadow->mean, shadow->worst);
    text += line.data();
  }
  if (const auto median = cache.indicator_quantile(0.5)) {
    std::snprintf(
        line.data(), line.size(), "indicator: min %.4f, median %.4f, max %.4f%s\n",
        *cache.indicator_quantile(0), *median, *cache.indicator_quantile(1),
        report.plan.clip.cache.params.contains("threshold")
            ? (", threshold " + report.plan.clip.cache.params.at("threshold").dump()).c_str()
            : "");
    text += line.data();
  }
  return text;
}

}  // namespace bw
