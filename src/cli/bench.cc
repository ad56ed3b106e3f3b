#include "run/bench.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "base/violations.h"
#include "cli/command.h"
#include "run/attention_choice.h"
#include "run/bench_gates.h"
#include "run/bench_summary.h"
#include "run/generate.h"
#include "run/options.h"
#include "run/profile.h"
#include "run/prompt_file.h"
#include "run/report_page.h"
#include "run/resolve.h"

namespace bw {
namespace {

struct BenchOptions {
  RunFlags flags;
  std::vector<std::string> against;
  std::string arms;
  std::string prompts;
  std::string seeds;
  std::string rows;
  std::string latents;
  std::string save;
  std::string baseline;
  std::string limits;
  bool profile = false;
  int warmup = 1;
  int repeat = 5;
};

// "cache=static:every=2" on top of the first plan.
BenchArm arm_from_text(const Request& base, const Manifest& manifest, const std::string& text) {
  const Origin origin = Origin::flag("--against");
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) reject(origin, "expected key=value, got '" + text + "'");
  Request request = base;
  Json config = {{text.substr(0, equals), text.substr(equals + 1)}};
  request.add_config(config, origin);
  return {text, resolve(request, manifest)};
}

// {"reference": {…}, "arms": [{"name": "…", <keys of a config>}]}
void add_arms_file(const Request& base, const Manifest& manifest, const std::string& path,
                   BenchSetup& setup) {
  const Origin origin = Origin::file(path + ": ");
  const Json json = read_json_file(path);
  JsonObject file(json, origin);
  const auto read_arm = [&](Json entry, const Origin& where) {
    JsonObject object(entry, where);
    const std::string name = object.text("name");
    entry.erase("name");
    Request request = base;
    request.add_config(entry, where);
    return BenchArm{name, resolve(request, manifest)};
  };
  if (const Json* reference = file.find("reference"))
    setup.reference = read_arm(*reference, file.at("reference"));
  const Json& arms = file.require("arms");
  if (!arms.is_array()) reject(file.at("arms"), "must be a list, got " + json_type_name(arms));
  for (std::size_t i = 0; i < arms.size(); ++i) {
    setup.arms.push_back(read_arm(arms[i], file.at("arms").at("[" + std::to_string(i) + "]")));
  }
  file.finish();
}

void print_result(const BenchOptions& options, const TalkOptions& talk, const Json& result) {
  if (!options.save.empty()) write_file(options.save, result.dump(1) + "\n");
  const auto table = options.profile ? profile_table : bench_table;
  std::cout << (talk.json ? result.dump(1) + "\n" : table(result));
}

// Exit code 6 with a line per limit, or value of the baseline, that does not hold.
void check_gates(const BenchOptions& options, const Json& result, const std::optional<Json>& limits,
                 const std::optional<Json>& baseline, Observer& observer) {
  std::vector<std::string> violations;
  if (limits) violations = check_limits(result, *limits, Origin::file(options.limits + ": "));
  if (baseline) {
    const BaselineResult compared =
        check_baseline(result, *baseline, {}, Origin::file(options.baseline + ": "));
    if (!compared.same_machine) {
      observer.note(
          "the baseline comes from another machine, program or thread count: speed-ups "
          "are compared, seconds and resident memory are not");
    }
    violations.insert(violations.end(), compared.violations.begin(), compared.violations.end());
  }
  if (!violations.empty()) throw violated("limit", violations);
}

std::optional<Json> read_optional(const std::string& file) {
  return file.empty() ? std::nullopt : std::optional(read_json_file(file));
}

void run_bench(const BenchOptions& options, const TalkOptions& talk) {
  Request request = options.flags.request();
  BenchSetup setup;
  if (!options.prompts.empty()) {
    setup.prompts = read_prompts(options.prompts);
    request.set("prompt", setup.prompts.front(), Origin::flag("--prompts"));
  }
  const Manifest manifest = Bundle::open(find_bundle(request));
  Plan plan = resolve(request, manifest);
  if (setup.prompts.empty()) setup.prompts = {plan.clip.prompt};
  setup.seeds = {plan.clip.seed};
  if (!options.seeds.empty()) setup.seeds = parse_seeds(options.seeds, "--seeds");
  setup.arms.push_back({"base", plan});
  for (const std::string& text : options.against)
    setup.arms.push_back(arm_from_text(request, manifest, text));
  if (!options.arms.empty()) add_arms_file(request, manifest, options.arms, setup);
  check_one_model(setup);
  for (const BenchArm& arm : setup.arms) plan.model.int8_variant |= arm.plan.model.int8_variant;
  setup.warmup = options.warmup;
  setup.repeat = options.repeat;
  setup.rows = options.rows;
  setup.latents = options.latents;
  if (!options.save.empty()) check_writable(options.save);
  const auto page = requested_page(request);
  if (page && options.profile) {
    reject(request.origin("report"), "a page shows plans against each other; leave out --profile");
  }
  const std::optional<Json> limits = read_optional(options.limits);
  const std::optional<Json> baseline = read_optional(options.baseline);
  const auto observer = make_observer(talk.progress);
  const auto model = load_model(plan, manifest);
  settle_attention(*model, plan, request.origin("attention"), *observer);
  for (BenchArm& arm : setup.arms) arm.plan.model.attention = plan.model.attention;
  if (setup.reference) setup.reference->plan.model.attention = plan.model.attention;
  if (options.profile) {
    print_result(options, talk, profile(*model, plan, *observer));
    return;
  }
  const std::vector<MeasuredRun> rows = bench(*model, setup, *observer);
  const Json result = bench_summary(*model, setup, rows);
  print_result(options, talk, result);
  if (page) write_page(*page, page_of({result, *page}), *observer);
  check_gates(options, result, limits, baseline, *observer);
}

}  // namespace

std::function<void()> add_bench_command(CLI::App& app, TalkOptions& talk) {
  const auto options = std::make_shared<BenchOptions>();
  options->flags.add_to(app);
  app.add_option("--against", options->against,
                 "KEY=VALUE on top of the first plan, e.g. cache=bwcache:threshold=0.04")
      ->group("Bench");
  app.add_option("--arms", options->arms,
                 "JSON file with more plans: {\"reference\": {…}, \"arms\": [{\"name\": …}]}")
      ->group("Bench");
  app.add_option("--prompts", options->prompts,
                 "file with one prompt per line; every plan runs on each")
      ->group("Bench");
  app.add_option("--seeds", options->seeds, "every plan runs each prompt with these, e.g. 1,2,3")
      ->group("Bench");
  app.add_option("--rows", options->rows,
                 "keep every run as a line of this file, and go on from what it holds")
      ->group("Bench");
  app.add_option("--keep-latents", options->latents,
                 "folder for the final latents of every plan; a reference found there is not run")
      ->group("Bench");
  app.add_option("--baseline", options->baseline,
                 "an earlier --save of the same plans: exit with 6 when it was faster or better")
      ->group("Bench");
  app.add_option("--limits", options->limits,
                 "JSON file with limits per plan: exit with 6 when one does not hold")
      ->group("Bench");
  app.add_option("--warmup", options->warmup, "rounds that are not counted")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000))
      ->group("Bench");
  app.add_option("--repeat", options->repeat, "rounds that are counted")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000))
      ->group("Bench");
  app.add_flag("--profile", options->profile,
               "where the time of one step of the first plan goes, by operator")
      ->excludes("--against")
      ->excludes("--arms")
      ->excludes("--prompts")
      ->excludes("--seeds")
      ->excludes("--baseline")
      ->excludes("--limits")
      ->excludes("--rows")
      ->excludes("--keep-latents")
      ->excludes("--warmup")
      ->excludes("--repeat")
      ->group("Bench");
  app.add_option("--save", options->save, "write the result as JSON")->group("Bench");
  return [options, &talk] { run_bench(*options, talk); };
}

}  // namespace bw
