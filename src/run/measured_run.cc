#include "run/measured_run.h"

#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "quality/compare.h"
#include "run/environment.h"

namespace bw {
namespace {

std::map<std::string, double> numbers(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  std::map<std::string, double> values;
  for (const auto& [key, value] : json.items()) values[key] = object.number(key);
  return values;
}

}  // namespace

Json to_json(const MeasuredRun& run) {
  return {{"identity", run.identity},
          {"arm", run.arm},
          {"prompt", run.prompt},
          {"seed", run.seed},
          {"round", run.round},
          {"seconds", run.seconds},
          {"blocks_computed", run.blocks_computed},
          {"computed_fraction", run.computed_fraction},
          {"cache_bytes", run.cache_bytes},
          {"peak_bytes", run.peak_bytes},
          {"quality", run.quality}};
}

MeasuredRun measured_run_from_json(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  MeasuredRun run;
  run.identity = object.text("identity");
  run.arm = object.text("arm");
  run.prompt = object.text("prompt");
  run.seed = object.integer("seed");
  run.round = static_cast<int>(object.integer("round"));
  run.seconds = numbers(object.require("seconds"), object.at("seconds"));
  run.blocks_computed = object.integer("blocks_computed");
  run.computed_fraction = object.number("computed_fraction");
  run.cache_bytes = static_cast<std::uint64_t>(object.integer("cache_bytes"));
  run.peak_bytes = static_cast<std::uint64_t>(object.integer("peak_bytes"));
  run.quality = numbers(object.require("quality"), object.at("quality"));
  object.finish();
  return run;
}

std::string run_identity(const Plan& plan, const std::string& bundle_hash) {
  Json json = plan_to_json(plan, false);
  for (const char* key : {"prompt", "seed", "output"}) json.erase(key);
  json["environment"] = environment_fingerprint(plan.model);
  json["bundle"] = bundle_hash;
  return sha256(json.dump()).substr(0, 16);
}

MeasuredRun measure(const RawClip& clip, const std::string& arm, double encode_seconds) {
  const Report& report = clip.report;
  const Timings& timings = report.timings;
  const CacheTotals& cache = report.cache.totals;
  MeasuredRun run;
  run.identity = run_identity(report.plan, report.bundle_hash);
  run.arm = arm;
  run.prompt = report.plan.clip.prompt;
  run.seed = report.plan.clip.seed;
  run.seconds = {{"text", timings.text},
                 {"denoise", timings.denoise},
                 {"step", timings.denoise / static_cast<double>(report.plan.clip.steps)},
                 {"indicator", cache.indicator_seconds},
                 {"rebuild", cache.rebuild_seconds},
                 {"controller", cache.controller_seconds},
                 {"embed", cache.model.embed.seconds},
                 {"head", cache.model.head.seconds},
                 {"scheduler", timings.scheduler},
                 {"decode", timings.decode},
                 {"encode", encode_seconds},
                 {"total", timings.text + timings.denoise + timings.decode + encode_seconds}};
  for (const auto& [kind, work] : cache.model.blocks) run.seconds["blocks " + kind] = work.seconds;
  run.blocks_computed = cache.blocks_computed;
  run.computed_fraction = 1 - report.cache.reused_fraction();
  run.cache_bytes = cache.peak_bytes;
  run.peak_bytes = report.peak_memory_bytes;
  return run;
}

void add_quality(MeasuredRun& run, const at::Tensor& frames, const at::Tensor& reference,
                 const std::string& suffix) {
  if (frames.sizes() != reference.sizes()) return;  // arms of different sizes have no quality
  std::vector<MetricInfo> chosen = usual_metrics(frames);
  // A ratio can be infinite, and JSON has no number for that.
  std::erase_if(chosen,
                [](const MetricInfo& metric) { return metric.better == Better::kNearestOne; });
  for (const MetricResult& result : compare(frames, reference, chosen)) {
    run.quality[result.name + suffix] = result.mean;
    run.quality[result.name + suffix + "_worst"] = result.worst;
  }
}

MeasuredRunFile::MeasuredRunFile(const std::filesystem::path& file) : path_(file) {
  if (file.empty()) return;
  check_writable(file);
  if (std::filesystem::exists(file)) {
    std::string text = read_file(file);
    const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    if (whole != text.size()) {
      text.resize(whole);
      write_file(file, text);
    }
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      const Origin origin = Origin::file(file.string() + ": line " + std::to_string(++number));
      rows_.push_back(measured_run_from_json(parse_json(line, origin), origin));
    }
  }
  std::error_code ignored;  // opening says what is wrong
  std::filesystem::create_directories(std::filesystem::absolute(file).parent_path(), ignored);
  file_.open(file, std::ios::app | std::ios::binary);
  if (!file_) throw OutputError(file.string() + ": cannot be opened for writing");
}

void MeasuredRunFile::append(std::span<const MeasuredRun> rows) {
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  if (path_.empty()) return;
  std::string text;
  for (const MeasuredRun& row : rows) text += to_json(row).dump() + "\n";
  file_ << text << std::flush;
  if (!file_) throw OutputError(path_.string() + ": writing failed; is the disk full?");
}

}  // namespace bw
