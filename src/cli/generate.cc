#include "run/generate.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "base/stopwatch.h"
#include "cli/command.h"
#include "run/attention_choice.h"
#include "run/memory.h"
#include "run/progress.h"
#include "run/report_page.h"
#include "run/resolve.h"
#include "run/run_device.h"

namespace bw {
namespace {

struct GenerateOptions {
  RunFlags flags;
  bool dry_run = false;
  bool cache_summary = false;
};

// The resolved plan, where each value came from, and what cache and model will need.
void print_plan(const Plan& plan, const Manifest& manifest, bool as_json) {
  const DeclaredMemory memory = declared_memory(plan, manifest, count_weights(plan, manifest));
  Json json = plan_to_json(plan, true);
  if (as_json) {
    Json sources = Json::object();
    for (const auto& [key, source] : plan.sources) sources[key] = source;
    json["sources"] = sources;
    json["cache_bytes"] = memory.cache;
    json["memory"] = to_json(memory);
    std::cout << json.dump(2) << '\n';
    return;
  }
  for (const auto& [key, value] : json.items()) {
    const auto source = plan.sources.find(key);
    std::cout << key << ": " << value.dump()
              << (source == plan.sources.end() ? "" : "   (" + source->second + ")") << '\n';
  }
  std::cout << "cache memory: " << format_bytes(memory.cache) << '\n'
            << "memory: declared " << to_text(memory) << '\n';
}

void note_preset(const Plan& plan, const Manifest& manifest, Observer& observer) {
  const std::string& preset = plan.clip.cache.preset;
  if (preset.empty() || plan.sources.at("cache") != "bundle") return;
  const Json& entry = manifest.cache_presets.at(preset);
  const std::string measured =
      entry.contains("measured") ? ", measured " + entry.at("measured").dump() : "";
  observer.note("cache: the model's preset '" + preset + "' (" + plan.clip.cache.policy + measured +
                "); --cache none is exact");
}

void check_inert(const Report& report, Observer& observer) {
  if (report.plan.clip.cache.policy == "none" || !report.cache.inert()) return;
  std::string message = "the cache reused nothing";
  if (const auto lowest = report.cache.indicator_quantile(0)) {
    message += ": the lowest indicator was " + std::to_string(*lowest);
    const Json& params = report.plan.clip.cache.params;
    if (params.contains("threshold"))
      message += ", the threshold is " + params.at("threshold").dump();
  }
  if (report.plan.clip.cache.fail_if_inert) throw GateError("--fail-if-inert: " + message);
  observer.note("warning: " + message);
}

void run_generate(const GenerateOptions& options, const TalkOptions& talk) {
  const Request request = options.flags.request();
  const Manifest manifest = Bundle::open(find_bundle(request));
  Plan plan = resolve(request, manifest);
  check_device_memory(plan, manifest);
  check_plan(plan, manifest);
  const auto observer = make_observer(talk.progress);
  if (options.flags.recorded_bundle().value_or(manifest.hash) != manifest.hash) {
    observer->note("warning: the plan of --from was made with another model than " +
                   manifest.directory.string() + "; the video will differ");
  }
  if (options.dry_run) {
    print_plan(plan, manifest, talk.json);
    return;
  }
  if (request.integer("seed").value_or(0) == -1)
    observer->note("seed: " + std::to_string(plan.clip.seed));
  note_preset(plan, manifest, *observer);
  const Stopwatch load_watch;
  const auto model = load_model(plan, manifest);
  settle_attention(*model, plan, request.origin("attention"), *observer);
  const double load_seconds = load_watch.seconds();
  Report report = generate(*model, plan, *observer);
  report.timings.load = load_seconds;
  report.timings.total += load_seconds;
  const Json json = report_to_json(report);
  if (plan.clip.output.report) write_file(*plan.clip.output.report, json.dump(1) + "\n");
  if (const auto& page = plan.clip.output.page)
    write_page(*page, page_of({json, plan.clip.output.report.value()}), *observer);
  if (options.cache_summary) std::cerr << cache_summary(report);
  std::cout << (talk.json ? json.dump(1) : report.output.path) << '\n';
  check_inert(report, *observer);
}

}  // namespace

std::function<void()> add_generate_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<GenerateOptions>();
  options->flags.add_to(app);
  app.add_flag("--dry-run", options->dry_run, "print the resolved plan and check it; make nothing")
      ->group("Talk");
  app.add_flag("--cache-summary,--summary", options->cache_summary,
               "print what the cache did, step by step")
      ->group("Cache");
  return [options, &talk] { run_generate(*options, talk); };
}

}  // namespace bw
