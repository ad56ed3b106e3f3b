#include "run/calibrate.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "run/attention_choice.h"
#include "run/generate.h"
#include "run/prompt_file.h"
#include "run/resolve.h"

namespace bw {
namespace {

struct CalibrateOptions {
  RunFlags flags;
  std::string prompts;
  std::string seeds;
  std::string save;
};

std::vector<std::string> prompts_of(const CalibrateOptions& options, Request& request) {
  if (options.prompts.empty()) {
    const std::optional<std::string> prompt = request.text("prompt");
    if (!prompt || prompt->empty()) {
      throw UsageError("--prompts: there is no prompt to run; give a file of prompts, or --prompt");
    }
    return {*prompt};
  }
  if (const Request::Entry* prompt = request.find("prompt");
      prompt != nullptr && prompt->origin.kind == Origin::Kind::kFlag) {
    throw UsageError("--prompt: cannot be given together with --prompts; add it to the file");
  }
  std::vector<std::string> prompts = read_prompts(options.prompts);
  request.set("prompt", prompts.front(), Origin::flag("--prompts"));
  return prompts;
}

void run_calibrate(const CalibrateOptions& options, const TalkOptions& talk) {
  Request request = options.flags.request();
  if (!request.has("cache")) {
    throw UsageError("--cache: name the policy to calibrate, e.g. --cache magcache");
  }
  if (request.has("prompt_embeds")) {
    reject(request.origin("prompt_embeds"), "calibrating reads prompts; use --prompts");
  }
  if (request.has("cache_replay")) {
    reject(request.origin("cache_replay"), "there is nothing to calibrate in it");
  }
  const std::vector<std::string> prompts = prompts_of(options, request);
  const Manifest manifest = Bundle::open(find_bundle(request));
  CalibrateSetup setup;
  setup.base = resolve(request, manifest);
  std::vector<std::int64_t> seeds = {setup.base.clip.seed};
  if (!options.seeds.empty()) seeds = parse_seeds(options.seeds, "--seeds");
  for (const std::string& prompt : prompts) {
    for (const std::int64_t seed : seeds) setup.clips.push_back({prompt, seed});
  }
  const auto calibration = make_calibration(setup.base, manifest);
  check_writable(options.save);
  const auto observer = make_observer(talk.progress);
  const auto model = load_model(setup.base, manifest);
  settle_attention(*model, setup.base, request.origin("attention"), *observer);
  const Calibrated found = calibrate(*model, setup, *calibration, *observer);
  write_file(options.save, found.config.dump(1) + "\n");
  std::cout << (talk.json ? found.config.dump(1) + "\n" : found.table);
}

}  // namespace

std::function<void()> add_calibrate_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<CalibrateOptions>();
  options->flags.add_to(app);
  const char* group = "Calibrate";
  app.add_option("--prompts", options->prompts,
                 "file with one prompt per line (.jsonl: objects); what is measured is averaged "
                 "over them")
      ->group(group);
  app.add_option("--seeds", options->seeds, "every prompt runs with each of these seeds, e.g. 1,2")
      ->group(group);
  app.add_option("--save", options->save, "config to write, for --config of later runs")
      ->required()
      ->group(group);
  return [options, &talk] { run_calibrate(*options, talk); };
}

}  // namespace bw
