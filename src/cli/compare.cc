#include "quality/compare.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "cli/command.h"
#include "output/video_reader.h"

namespace bw {
namespace {

struct CompareOptions {
  std::string reference;
  std::string video;
  std::vector<std::string> metrics;
};

void check_comparable(const CompareOptions& options, const VideoInfo& a, const VideoInfo& b) {
  if (a.fps && b.fps && *a.fps != *b.fps) {
    throw InputError(options.video + ": " + std::to_string(*b.fps) + " frames per second, but " +
                     options.reference + " has " + std::to_string(*a.fps));
  }
}

// Seconds of denoising from the report beside a video, where there is one.
std::optional<double> denoise_seconds(std::filesystem::path video) {
  const std::filesystem::path name = video.filename();
  const std::filesystem::path report = video.replace_extension(".json");
  if (!std::filesystem::exists(report)) return std::nullopt;
  const Json json = read_json_file(report);
  const auto pointer = Json::json_pointer("/timings/denoise");
  const auto path = Json::json_pointer("/output/path");
  if (!json.contains(pointer) || !json.at(pointer).is_number()) return std::nullopt;
  // Two videos that differ in their extension alone share the name of their report.
  const bool is_its = json.contains(path) && json.at(path).is_string() &&
                      std::filesystem::path(json.at(path).get<std::string>()).filename() == name;
  if (!is_its) return std::nullopt;
  return json.at(pointer).get<double>();
}

std::vector<MetricInfo> choose_metrics(const std::vector<std::string>& names) {
  std::vector<MetricInfo> chosen;
  chosen.reserve(names.size());
  for (const std::string& name : names)
    chosen.push_back(find_metric(name, Origin::flag("--metric")));
  return chosen;
}

Json to_json(const std::vector<MetricResult>& results) {
  Json json = Json::object();
  for (const MetricResult& result : results) {
    json[result.name] = {{"mean", result.mean},
                         {"worst", result.worst},
                         {"worst_frame", result.worst_frame},
                         {"p10", result.p10},
                         {"unit", result.unit},
                         {"better", to_string(result.better)},
                         {"value_of", to_string(result.value_of)},
                         {"values", result.values}};
  }
  return json;
}

void run_compare(const CompareOptions& options, bool as_json) {
  std::vector<MetricInfo> chosen = choose_metrics(options.metrics);
  const Video reference = read_video(options.reference);
  const Video video = read_video(options.video);
  check_comparable(options, reference.info, video.info);
  if (chosen.empty()) chosen = usual_metrics(video.frames);
  const std::vector<MetricResult> results = compare(video.frames, reference.frames, chosen);
  const auto before = denoise_seconds(options.reference);
  const auto after = denoise_seconds(options.video);
  if (as_json) {
    Json json = {
        {"reference", options.reference}, {"video", options.video}, {"metrics", to_json(results)}};
    if (before && after) json["denoise_speedup"] = *before / *after;
    std::cout << json.dump(2) << '\n';
    return;
  }
  for (const MetricResult& result : results) {
    std::printf("%-6s %.4g %s (worst frame %ld: %.4g)\n", result.name.c_str(), result.mean,
                result.unit.c_str(), static_cast<long>(result.worst_frame), result.worst);
  }
  if (before && after) {
    std::printf("denoising: %.2f s -> %.2f s, speed-up %.2fx\n", *before, *after, *before / *after);
  }
}

}  // namespace

std::function<void()> add_compare_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<CompareOptions>();
  app.add_option("reference", options->reference, "the video to measure from")->required();
  app.add_option("video", options->video, "the video to measure")->required();
  app.add_option("--metric", options->metrics, "psnr, ssim … (default: all; see `list metrics`)");
  return [options, &talk] { run_compare(*options, talk.json); };
}

}  // namespace bw
