#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/violations.h"
#include "cli/command.h"
#include "cli/compare_output.h"
#include "quality/junit.h"
#include "run/compare_page.h"
#include "run/comparison.h"
#include "run/report_page.h"

namespace bw {
namespace {

struct GateFlag {
  const char* flag;
  const char* metric;
  bool is_min;
};

constexpr std::array kGateFlags = {
    GateFlag{"--min-psnr", "psnr", true}, GateFlag{"--min-ssim", "ssim", true},
    GateFlag{"--max-lpips", "lpips", false}, GateFlag{"--max-flip", "flip", false},
    GateFlag{"--max-flicker", "flicker", false}};

struct CompareOptions {
  std::string reference;
  std::string video;
  std::vector<std::string> metrics;
  std::map<std::string, std::optional<double>> limits;  // by flag
  std::string gate_file;
  std::string gate_over = "clip";
  std::string junit;
  std::string page;
};

std::vector<MetricInfo> choose_metrics(const std::vector<std::string>& names) {
  std::vector<MetricInfo> chosen;
  chosen.reserve(names.size());
  for (const std::string& name : names)
    chosen.push_back(find_metric(name, Origin::flag("--metric")));
  return chosen;
}

std::vector<Gate> read_gates(const CompareOptions& options) {
  std::vector<Gate> gates;
  if (!options.gate_file.empty()) {
    gates =
        gates_from_json(read_json_file(options.gate_file), Origin::file(options.gate_file + ": "));
  }
  for (const GateFlag& flag : kGateFlags) {
    const std::optional<double> limit = options.limits.at(flag.flag);
    if (!limit) continue;
    if (!std::isfinite(*limit)) {
      throw UsageError(std::string(flag.flag) + ": must be a finite number, got " +
                       std::to_string(*limit));
    }
    Gate gate{flag.metric, "mean", std::nullopt, std::nullopt};
    (flag.is_min ? gate.min : gate.max) = limit;
    gates.push_back(std::move(gate));
  }
  return gates;
}

void check_options(const CompareOptions& options, const std::vector<Gate>& gates) {
  if (options.junit.empty()) return;
  if (gates.empty()) {
    throw UsageError("--junit: reports gates, and there is none; give --gate FILE, --min-psnr …");
  }
  check_writable(options.junit);
}

// Each clip by every gate; or the set, whose statistics are over the means of its clips.
std::vector<JudgedClip> judge(const std::vector<ClipResult>& clips, const std::vector<Gate>& gates,
                              bool over_set) {
  std::vector<JudgedClip> judged;
  if (!over_set) {
    for (const ClipResult& clip : clips) {
      judged.push_back({clip.clip, check_gates(gates, clip.metrics, clip.clip)});
    }
    return judged;
  }
  std::vector<MetricResult> results;
  std::map<std::string, std::string> worst;
  for (SetResult& result : summarize_set(clips)) {
    worst[result.means.name] = result.worst_clip;
    results.push_back(std::move(result.means));
  }
  const std::string name = "all " + std::to_string(clips.size()) + " clips";
  std::vector<GateViolation> violations = check_gates(gates, results, name);
  for (GateViolation& violation : violations) {
    violation.message += " (worst clip: " + worst.at(violation.gate.metric) + ")";
  }
  judged.push_back({name, std::move(violations)});
  return judged;
}

struct Speed {
  double before = 0;
  double after = 0;  // seconds of denoising
};

// Of all pairs, or nothing when one of the reports is missing.
std::optional<Speed> denoising(const std::vector<ClipPair>& pairs) {
  Speed speed;
  for (const ClipPair& pair : pairs) {
    const auto before = denoise_seconds(pair.reference);
    const auto after = denoise_seconds(pair.video);
    if (!before || !after) return std::nullopt;
    speed.before += *before;
    speed.after += *after;
  }
  return speed;
}

Json limit_json(std::optional<double> limit) { return limit ? Json(*limit) : Json(nullptr); }

Json violations_json(const std::vector<JudgedClip>& judged) {
  Json json = Json::array();
  for (const JudgedClip& clip : judged) {
    for (const GateViolation& violation : clip.violations) {
      json.push_back({{"clip", clip.clip},
                      {"metric", violation.gate.metric},
                      {"statistic", violation.gate.statistic},
                      {"value", violation.value},
                      {"min", limit_json(violation.gate.min)},
                      {"max", limit_json(violation.gate.max)}});
    }
  }
  return json;
}

struct Outcome {
  bool is_set = false;
  std::vector<ClipResult> clips;
  std::vector<Gate> gates;
  std::vector<JudgedClip> judged;
  std::optional<Speed> speed;
};

void print_json(const CompareOptions& options, const Outcome& outcome) {
  Json json = {{"reference", options.reference}, {"video", options.video}};
  const auto metrics_of = [](const ClipResult& clip) {
    Json metrics = Json::object();
    for (const MetricResult& result : clip.metrics) metrics[result.name] = to_json(result);
    return metrics;
  };
  if (outcome.is_set) {
    json["summary"] = Json::object();
    for (const SetResult& result : summarize_set(outcome.clips)) {
      json["summary"][result.means.name] = to_json(result);
    }
    json["clips"] = Json::array();
    for (const ClipResult& clip : outcome.clips) {
      json["clips"].push_back({{"clip", clip.clip}, {"metrics", metrics_of(clip)}});
    }
  } else {
    json["metrics"] = metrics_of(outcome.clips.front());
  }
  if (!outcome.gates.empty()) json["violations"] = violations_json(outcome.judged);
  if (outcome.speed) json["denoise_speedup"] = outcome.speed->before / outcome.speed->after;
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void print_text(const Outcome& outcome) {
  std::cout << comparison_table(outcome.clips, outcome.is_set);
  if (outcome.speed) {
    std::printf("denoising: %.2f s -> %.2f s, speed-up %.2fx\n", outcome.speed->before,
                outcome.speed->after, outcome.speed->before / outcome.speed->after);
  }
  if (!outcome.gates.empty()) {
    std::size_t violated = 0;
    for (const JudgedClip& clip : outcome.judged) violated += clip.violations.size();
    const std::size_t checked = outcome.gates.size() * outcome.judged.size();
    std::printf("gates: %zu of %zu hold\n", checked - violated, checked);
  }
  std::fflush(stdout);
}

void throw_violations(const std::vector<JudgedClip>& judged) {
  std::vector<std::string> lines;
  for (const JudgedClip& clip : judged) {
    for (const GateViolation& violation : clip.violations) lines.push_back(violation.message);
  }
  if (!lines.empty()) throw violated("gate", lines);
}

// Before any video is read.
void check_assets(const std::vector<MetricInfo>& chosen) {
  for (const MetricInfo& metric : chosen) {
    if (metric.find_asset != nullptr) std::ignore = metric.find_asset();
  }
}

// A page shows frames, of one pair.
void check_page(const CompareOptions& options) {
  check_page_path(options.page);
  const bool is_video = !std::filesystem::is_directory(options.reference) &&
                        std::filesystem::path(options.reference).extension() != ".safetensors";
  if (is_video) return;
  throw UsageError("--report: shows two videos; compare folders and latents without it");
}

void run_compare(const CompareOptions& options, bool as_json) {
  const std::vector<MetricInfo> chosen = choose_metrics(options.metrics);
  Outcome outcome;
  outcome.gates = read_gates(options);
  check_options(options, outcome.gates);
  std::vector<MetricInfo> gated;
  add_gated_metrics(gated, outcome.gates);
  check_assets(chosen);
  check_assets(gated);
  if (!options.page.empty()) check_page(options);
  const std::vector<ClipPair> pairs = pair_clips(options.reference, options.video);
  outcome.is_set = std::filesystem::is_directory(options.reference);
  for (const ClipPair& pair : pairs) outcome.clips.push_back(compare_pair(pair, chosen, gated));
  outcome.judged = judge(outcome.clips, outcome.gates, options.gate_over == "set");
  outcome.speed = denoising(pairs);
  if (!options.page.empty()) {
    const auto speedup =
        outcome.speed ? std::optional(outcome.speed->before / outcome.speed->after) : std::nullopt;
    write_compare_page(options.page,
                       {options.reference, options.video, outcome.clips.front().metrics, speedup});
  }
  if (!options.junit.empty()) {
    write_file(options.junit, junit_xml("bwcache-gen compare", outcome.gates, outcome.judged));
  }
  if (as_json) {
    print_json(options, outcome);
  } else {
    print_text(outcome);
  }
  throw_violations(outcome.judged);
}

}  // namespace

std::function<void()> add_compare_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<CompareOptions>();
  app.add_option("reference", options->reference,
                 "what to measure from: a video, a latents file, or a folder of them")
      ->required();
  app.add_option("video", options->video, "what to measure, of the same kind")->required();
  app.add_option("--metric", options->metrics,
                 "psnr, ssim … (default: all that need no asset; see `list metrics`)");
  for (const GateFlag& flag : kGateFlags) {
    const std::string meaning = std::string(flag.is_min ? "lowest" : "highest") + " mean " +
                                flag.metric + " of a clip; else exit code 6";
    app.add_option(flag.flag, options->limits[flag.flag], meaning)->group("Gates");
  }
  app.add_option("--gate", options->gate_file, "JSON file with more gates")->group("Gates");
  app.add_option("--gate-over", options->gate_over,
                 "clip: every clip must hold the gates; set: the means of the clips must")
      ->check(CLI::IsMember({"clip", "set"}))
      ->group("Gates");
  app.add_option("--report", options->page,
                 "write a page (.html): every frame's quality, frames of both, their difference");
  app.add_option("--junit", options->junit, "write the gates as JUnit XML to this file")
      ->group("Gates");
  return [options, &talk] { run_compare(*options, talk.json); };
}

}  // namespace bw
