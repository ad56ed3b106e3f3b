#include "run/bench_summary.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "base/check.h"
#include "base/files.h"
#include "base/text.h"
#include "run/environment.h"
#include "run/statistics.h"

namespace bw {
namespace {

// The rows of one arm, value by value.
struct Samples {
  std::map<std::string, std::vector<double>> seconds;
  std::map<std::string, std::vector<double>> quality;
  std::vector<double> computed_fraction;
  std::vector<double> overhead;  // shares of denoising
  std::vector<double> rebuild;
  std::uint64_t cache_bytes = 0;
  std::uint64_t peak_bytes = 0;
};

Samples samples_of(std::span<const MeasuredRun> rows, const std::string& arm) {
  Samples samples;
  for (const MeasuredRun& row : rows) {
    if (row.arm != arm) continue;
    for (const auto& [stage, value] : row.seconds) samples.seconds[stage].push_back(value);
    const double denoise = row.seconds.at("denoise");
    samples.overhead.push_back((row.seconds.at("indicator") + row.seconds.at("controller")) /
                               denoise);
    samples.rebuild.push_back(row.seconds.at("rebuild") / denoise);
    samples.computed_fraction.push_back(row.computed_fraction);
    samples.cache_bytes = std::max(samples.cache_bytes, row.cache_bytes);
    samples.peak_bytes = std::max(samples.peak_bytes, row.peak_bytes);
    if (row.round > 0) continue;
    for (const auto& [name, value] : row.quality) samples.quality[name].push_back(value);
  }
  BW_CHECK(!samples.overhead.empty(), arm);
  return samples;
}

Json arm_to_json(const BenchArm& arm, const std::string& bundle_hash, const Samples& samples,
                 const Samples& base) {
  Json seconds = Json::object();
  for (const auto& [stage, values] : samples.seconds) {
    seconds[stage] = {{"median", median(values)},
                      {"lowest", *std::min_element(values.begin(), values.end())},
                      {"highest", *std::max_element(values.begin(), values.end())}};
  }
  Json quality = Json::object();
  for (const auto& [name, values] : samples.quality) quality[name] = mean(values);
  const auto ratio = [&](const char* stage) {
    return median(base.seconds.at(stage)) / median(samples.seconds.at(stage));
  };
  return {{"name", arm.name},
          {"identity", run_identity(arm.plan, bundle_hash)},
          {"plan", plan_to_json(arm.plan, false)},
          {"seconds", seconds},
          {"share",
           {{"indicator_and_controller", median(samples.overhead)},
            {"rebuild", median(samples.rebuild)}}},
          {"speedup", {{"denoise", ratio("denoise")}, {"total", ratio("total")}}},
          {"computed_fraction", mean(samples.computed_fraction)},
          {"cache_bytes", samples.cache_bytes},
          {"peak_memory_bytes", samples.peak_bytes},
          {"quality", quality}};
}

}  // namespace

Json bench_summary(const Bundle& model, const BenchSetup& setup,
                   std::span<const MeasuredRun> rows) {
  const std::string& hash = model.manifest().hash;
  const Samples base = samples_of(rows, setup.arms.front().name);
  Json arms = Json::array();
  std::string identities;
  for (const BenchArm& arm : setup.arms) {
    arms.push_back(arm_to_json(arm, hash, samples_of(rows, arm.name), base));
    identities += arms.back().at("identity").get<std::string>();
  }
  return {{"format_version", 2},
          {"kind", "bwcache-gen bench"},
          {"identity", sha256(identities).substr(0, 16)},
          {"environment", environment_fingerprint(setup.arms.front().plan.model)},
          {"bundle", {{"name", model.manifest().name}, {"sha256", hash}}},
          {"prompts", setup.prompts},
          {"seeds", setup.seeds},
          {"warmup", setup.warmup},
          {"repeat", setup.repeat},
          {"peak_memory_bytes", peak_memory_bytes()},
          {"arms", arms}};
}

std::string bench_table(const Json& summary) {
  std::array<char, 320> line{};
  std::string table =
      "arm                              denoise s (low-high)   speed-up  total   computed  cache "
      "ms   memory   PSNR   SSIM  to reference\n";
  for (const Json& arm : summary.at("arms")) {
    const Json& seconds = arm.at("seconds");
    const auto at = [&](const char* stage, const char* what) {
      return seconds.at(stage).at(what).get<double>();
    };
    const auto quality = [&](const char* name) {
      const Json& values = arm.at("quality");
      return values.contains(name) ? significant(values.at(name).get<double>(), 4) : std::string();
    };
    const double cache_ms =
        1e3 * (at("indicator", "median") + at("rebuild", "median") + at("controller", "median"));
    std::snprintf(
        line.data(), line.size(),
        "%-32s %6.2f (%.2f-%.2f) %12.2fx %6.2f s %7.0f %% %9.1f %9s %7s %7s %8s\n",
        arm.at("name").get<std::string>().c_str(), at("denoise", "median"), at("denoise", "lowest"),
        at("denoise", "highest"), arm.at("speedup").at("denoise").get<double>(),
        at("total", "median"), 100 * arm.at("computed_fraction").get<double>(), cache_ms,
        format_bytes(arm.at("peak_memory_bytes").get<std::uint64_t>()).c_str(),
        quality("psnr").c_str(), quality("ssim").c_str(), quality("psnr_reference").c_str());
    table += line.data();
  }
  return table;
}

}  // namespace bw
