#include "run/bench.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/error.h"
#include "base/stopwatch.h"
#include "output/frame_sink.h"
#include "quality/compare.h"
#include "run/cache_setup.h"
#include "run/environment.h"
#include "run/generate.h"
#include "run/statistics.h"

namespace bw {
namespace {

constexpr std::array kStages = {"text",       "denoise",   "step",   "indicator", "rebuild",
                                "controller", "scheduler", "decode", "encode",    "total"};

// What the runs of one arm gave.
struct Samples {
  std::map<std::string, std::vector<double>> seconds;
  std::map<std::string, std::vector<double>> quality;  // "psnr", "ssim", "psnr_reference", …
  std::vector<double> computed_fraction;
  std::uint64_t cache_bytes = 0;
};

struct Clip {
  at::Tensor frames;  // uint8 [n,H,W,3]
  Report report;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Encodes to a scratch file, so that the time of the format asked for is part of the measurement.
double time_encoding(const Plan& plan, const at::Tensor& frames) {
  const std::filesystem::path scratch =
      std::filesystem::temp_directory_path() /
      ("bwcache-bench" + plan.clip.output.video.extension().string());
  const VideoFormat format{static_cast<int>(plan.clip.width), static_cast<int>(plan.clip.height),
                           plan.clip.fps, plan.clip.num_frames};
  const Stopwatch watch;
  const auto sink = find_writer(scratch).make(scratch, format, encode_options(plan));
  sink->write(frames);
  sink->finish();
  const double seconds = watch.seconds();
  std::filesystem::remove(scratch);
  return seconds;
}

Clip run_once(const Bundle& model, const Plan& plan, Observer& observer) {
  auto [latents, steps, report] = denoise(model, plan, observer);
  if (steps < plan.clip.steps) throw Interrupted("stopped; nothing was measured");
  std::vector<at::Tensor> chunks;
  const Stopwatch watch;
  model.video_decoder()->decode(
      latents, [&](const at::Tensor& frames) { chunks.push_back(frames.clone()); });
  report.timings.decode = watch.seconds();
  return {at::cat(chunks), std::move(report)};
}

void add_times(Samples& samples, const Clip& clip) {
  const Timings& timings = clip.report.timings;
  const CacheTotals& cache = clip.report.cache.totals;
  const double encode = time_encoding(clip.report.plan, clip.frames);
  const std::array values = {timings.text,
                             timings.denoise,
                             timings.denoise / static_cast<double>(clip.report.plan.clip.steps),
                             cache.indicator_seconds,
                             cache.rebuild_seconds,
                             cache.controller_seconds,
                             timings.scheduler,
                             timings.decode,
                             encode,
                             timings.text + timings.denoise + timings.decode + encode};
  for (std::size_t i = 0; i < kStages.size(); ++i) samples.seconds[kStages[i]].push_back(values[i]);
}

void add_quality(Samples& samples, const at::Tensor& frames, const at::Tensor& reference,
                 const std::string& suffix) {
  if (frames.sizes() != reference.sizes()) return;
  for (const MetricResult& result : compare(frames, reference, metrics())) {
    samples.quality[result.name + suffix].push_back(result.mean);
    samples.quality[result.name + suffix + "_worst"].push_back(result.worst);
  }
}

Json arm_to_json(const BenchArm& arm, const Samples& samples, const Samples& base) {
  Json seconds = Json::object();
  for (const char* stage : kStages) {
    const std::vector<double>& values = samples.seconds.at(stage);
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
          {"plan", plan_to_json(arm.plan, false)},
          {"seconds", seconds},
          {"speedup", {{"denoise", ratio("denoise")}, {"total", ratio("total")}}},
          {"computed_fraction", mean(samples.computed_fraction)},
          {"cache_bytes", samples.cache_bytes},
          {"quality", quality}};
}

void check_one_model(const BenchSetup& setup) {
  const auto parts = [](const ModelPlan& plan) {
    return std::tie(plan.bundle, plan.dtype, plan.device, plan.threads, plan.rewrite,
                    plan.quantize);
  };
  const auto check = [&](const BenchArm& arm) {
    if (parts(arm.plan.model) == parts(setup.arms.front().plan.model)) return;
    throw UsageError("the arm '" + arm.name +
                     "' needs another model, dtype, device, thread count or form of its code than "
                     "the first; time those in runs of their own");
  };
  for (const BenchArm& arm : setup.arms) check(arm);
  if (setup.reference) check(*setup.reference);
}

}  // namespace

Json bench(const Bundle& model, const BenchSetup& setup, Observer& observer) {
  check_one_model(setup);
  QuietObserver quiet(observer);
  std::vector<Samples> samples(setup.arms.size());
  const auto total =
      static_cast<std::int64_t>(setup.warmup) +
      static_cast<std::int64_t>(setup.repeat) * static_cast<std::int64_t>(setup.prompts.size());
  std::int64_t done = 0;
  for (const std::string& prompt : setup.prompts) {
    const auto with_prompt = [&](const BenchArm& arm) {
      Plan plan = arm.plan;
      plan.clip.prompt = prompt;
      return plan;
    };
    std::optional<at::Tensor> reference;
    if (setup.reference) reference = run_once(model, with_prompt(*setup.reference), quiet).frames;
    // Warming up once is enough: the prompts share one loaded model.
    const int warmup = prompt == setup.prompts.front() ? setup.warmup : 0;
    for (int round = 0; round < warmup + setup.repeat; ++round) {
      at::Tensor base;
      for (std::size_t i = 0; i < setup.arms.size(); ++i) {
        const Clip clip = run_once(model, with_prompt(setup.arms[i]), quiet);
        if (i == 0) base = clip.frames;
        if (round < warmup) continue;
        add_times(samples[i], clip);
        samples[i].computed_fraction.push_back(1 - clip.report.cache.reused_fraction());
        samples[i].cache_bytes =
            std::max(samples[i].cache_bytes, clip.report.cache.totals.peak_bytes);
        if (round > warmup) continue;  // equal plans give equal frames
        if (i > 0) add_quality(samples[i], clip.frames, base, "");
        if (reference) add_quality(samples[i], clip.frames, *reference, "_reference");
      }
      observer.step(++done, total, "rounds");
    }
  }
  Json arms = Json::array();
  for (std::size_t i = 0; i < setup.arms.size(); ++i) {
    arms.push_back(arm_to_json(setup.arms[i], samples[i], samples[0]));
  }
  return {{"format_version", 1},
          {"kind", "bwcache-gen bench"},
          {"environment", environment_fingerprint(setup.arms.front().plan.model)},
          {"bundle", {{"name", model.manifest().name}, {"sha256", model.manifest().hash}}},
          {"prompts", setup.prompts},
          {"warmup", setup.warmup},
          {"repeat", setup.repeat},
          {"peak_memory_bytes", peak_memory_bytes()},
          {"arms", arms}};
}

std::string bench_table(const Json& result) {
  std::array<char, 320> line{};
  std::string table =
      "arm                              denoise s (low-high)   speed-up  total   computed  cache "
      "ms   "
      "PSNR   SSIM  to reference\n";
  for (const Json& arm : result.at("arms")) {
    const Json& seconds = arm.at("seconds");
    const auto at = [&](const char* stage, const char* what) {
      return seconds.at(stage).at(what).get<double>();
    };
    const auto quality = [&](const char* name) {
      const Json& values = arm.at("quality");
      std::array<char, 32> text{};
      if (values.contains(name))
        std::snprintf(text.data(), text.size(), "%.4g", values.at(name).get<double>());
      return std::string(text.data());
    };
    const double cache_ms =
        1e3 * (at("indicator", "median") + at("rebuild", "median") + at("controller", "median"));
    std::snprintf(
        line.data(), line.size(),
        "%-32s %6.2f (%.2f-%.2f) %12.2fx %6.2f s %7.0f %% %9.1f %7s %7s %8s\n",
        arm.at("name").get<std::string>().c_str(), at("denoise", "median"), at("denoise", "lowest"),
        at("denoise", "highest"), arm.at("speedup").at("denoise").get<double>(),
        at("total", "median"), 100 * arm.at("computed_fraction").get<double>(), cache_ms,
        quality("psnr").c_str(), quality("ssim").c_str(), quality("psnr_reference").c_str());
    table += line.data();
  }
  return table;
}

}  // namespace bw
