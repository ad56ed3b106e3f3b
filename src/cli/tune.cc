#include "run/tune.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "run/attention_choice.h"
#include "run/cache_setup.h"
#include "run/generate.h"
#include "run/prompt_file.h"
#include "run/report_page.h"
#include "run/resolve.h"

namespace bw {
namespace {

struct TuneOptions {
  RunFlags flags;
  std::vector<std::string> vary;
  std::string prompts;
  std::string seeds;
  std::optional<double> speedup;
  std::optional<double> min_psnr;
  std::optional<double> min_ssim;
  double share = 0.25;
  double hold_out = 0.25;
  int repeat = 3;
  std::string rows;
  std::string save;
  std::string config;
};

// The last prompts of the file are held out; every prompt runs with every seed.
void split_clips(const TuneOptions& options, const std::vector<std::string>& prompts,
                 const std::vector<std::int64_t>& seeds, TuneSetup& setup) {
  const auto held =
      static_cast<std::size_t>(std::floor(options.hold_out * static_cast<double>(prompts.size())));
  if (held >= prompts.size()) {
    throw UsageError("--hold-out: leaves no prompt to tune on; take a smaller share");
  }
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    auto& clips = i + held < prompts.size() ? setup.clips : setup.held_out;
    for (const std::int64_t seed : seeds) clips.push_back({prompts[i], seed});
  }
}

// bwcache unless --cache names another policy; what --cache sets and --vary does not stays fixed.
Plan base_plan(Request& request, const Manifest& manifest) {
  if (!request.has("cache")) request.set("cache", "bwcache", Origin::flag("--cache"));
  Plan plan = resolve(request, manifest);
  if (plan.clip.cache.replay) throw UsageError("--cache-replay: there is nothing to tune in it");
  return plan;
}

void run_tune(const TuneOptions& options, const TalkOptions& talk) {
  Request request = options.flags.request();
  const std::vector<std::string> prompts = read_prompts(options.prompts);
  request.set("prompt", prompts.front(), Origin::flag("--prompts"));
  const Manifest manifest = Bundle::open(find_bundle(request));
  TuneSetup setup;
  setup.base = base_plan(request, manifest);
  const CachePolicyInfo& policy =
      find_cache_policy(setup.base.clip.cache.policy, Origin::flag("--cache"));
  for (const std::string& text : options.vary) {
    setup.axes.push_back(parse_tune_axis(text, policy));
  }
  if (setup.axes.empty()) setup.axes = default_tune_axes(policy);
  // A bad value is known before loading.
  for (const TuneCandidate& candidate : tune_candidates(setup.axes, setup.base.clip.cache)) {
    setup.base.model.int8_variant |= wants_int8(candidate.cache);
  }
  split_clips(options, prompts, parse_seeds(options.seeds, "--seeds"), setup);
  setup.target.speedup = options.speedup;
  if (options.min_psnr) setup.target.quality["psnr"] = *options.min_psnr;
  if (options.min_ssim) setup.target.quality["ssim"] = *options.min_ssim;
  setup.share = options.share;
  setup.repeat = options.repeat;
  setup.rows = options.rows;
  if (!options.config.empty() && !setup.target.is_set()) {
    throw UsageError("--save-config: needs a target; add --target-speedup or --min-psnr");
  }
  for (const std::string& file : {options.save, options.config, options.rows}) {
    if (!file.empty()) check_writable(file);
  }
  const auto page = requested_page(request);
  const auto observer = make_observer(talk.progress);
  const auto model = load_model(setup.base, manifest);
  settle_attention(*model, setup.base, request.origin("attention"), *observer);
  const Json result = tune(*model, setup, *observer);
  if (!options.save.empty()) write_file(options.save, result.dump(1) + "\n");
  std::cout << (talk.json ? result.dump(1) + "\n" : tune_table(result));
  if (page && !result.at("points").empty()) {
    write_page(*page, page_of({result, *page}), *observer);
  } else if (page) {
    observer->note("no page: nothing was measured");
  }
  if (!result.at("complete").get<bool>()) throw Interrupted("tuning was stopped");
  if (!setup.target.is_set()) return;
  const Json config = tuned_config(result);
  if (!options.config.empty()) write_file(options.config, config.dump(1) + "\n");
}

}  // namespace

std::function<void()> add_tune_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<TuneOptions>();
  options->flags.add_to(app);
  const char* group = "Tune";
  app.add_option("--vary", options->vary,
                 "PARAM=auto, PARAM=1,2,3 or PARAM=LOW:HIGH:COUNT of the policy that --cache names "
                 "(default: what `list policies` says)")
      ->group(group);
  app.add_option("--prompts", options->prompts, "file with one prompt per line (.jsonl: objects)")
      ->required()
      ->group(group);
  app.add_option("--seeds", options->seeds, "every prompt runs with each of these seeds")
      ->default_str("42")
      ->default_val("42")
      ->group(group);
  auto* speedup = app.add_option("--target-speedup", options->speedup,
                                 "denoising at least this many times faster, at the best quality")
                      ->check(CLI::Range(1.0, 1e6))
                      ->group(group);
  app.add_option("--min-psnr", options->min_psnr, "as fast as possible with at least this PSNR, dB")
      ->check(CLI::Range(0.0, 100.0))
      ->excludes(speedup)
      ->group(group);
  app.add_option("--min-ssim", options->min_ssim, "as fast as possible with at least this SSIM")
      ->check(CLI::Range(-1.0, 1.0))
      ->excludes(speedup)
      ->group(group);
  app.add_option(
         "--share", options->share,
         "model evaluations to spend, as a share of running every setting on every clip; 1 runs "
         "them all")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1.0))
      ->group(group);
  app.add_option("--hold-out", options->hold_out,
                 "share of the prompts, the last of the file, that is kept for the final score")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.9))
      ->group(group);
  app.add_option("--repeat", options->repeat, "rounds that time the choice")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000))
      ->group(group);
  app.add_option("--rows", options->rows,
                 "keep every run as a line of this file, and go on from what it holds")
      ->group(group);
  app.add_option("--save", options->save, "write the result as JSON")->group(group);
  app.add_option("--save-config", options->config, "write the chosen setting as a config")
      ->group(group);
  return [options, &talk] { run_tune(*options, talk); };
}

}  // namespace bw
