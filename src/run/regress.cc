#include "run/regress.h"

#include <chrono>
#include <ctime>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "run/cache_setup.h"
#include "run/environment.h"
#include "run/generate.h"
#include "run/plan_differences.h"
#include "run/raw_clip.h"
#include "run/regress_checks.h"
#include "run/resolve.h"
#include "run/run_device.h"

namespace bw {
namespace {

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  (void)std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

CacheLayout layout_of(const Plan& plan, const Manifest& manifest) {
  return cache_layout(plan, manifest, *make_schedule(plan, plan_latent_shape(plan, manifest)));
}

ReuseCounts count_reuse(const CacheTotals& totals, const CacheLayout& layout) {
  ReuseCounts counts;
  auto& [evaluations, branches, blocks, stages] = counts;
  for (const EvaluationContext& evaluation : layout.evaluations) {
    const std::int64_t rows = evaluation.guided ? 2 : 1;
    ++evaluations.total;
    branches.total += rows;
    for (const BlockInfo& block : layout.experts[evaluation.expert].blocks) {
      stages.total += rows * static_cast<std::int64_t>(block.stages.size());
    }
  }
  evaluations.reused = totals.evaluations_reused;
  branches.reused = totals.branches_reused;
  blocks = {totals.blocks, totals.blocks - totals.blocks_computed};
  stages.reused = totals.stages_reused;
  return counts;
}

// What is known of a case before its model is loaded.
struct Prepared {
  Manifest manifest;
  RegressPlans plans;
  Json plan;  // regress_plan_to_json
  std::vector<MetricInfo> metrics;
  std::optional<RegressReference> reference;  // absent with --update
};

void check_same(const RegressCase& regress_case, const Prepared& prepared,
                const RegressReference& reference) {
  std::string text;
  for (const std::string& difference : plan_differences(reference.plan, prepared.plan)) {
    text += (text.empty() ? "" : "; ") + difference;
  }
  if (reference.bundle_hash != prepared.manifest.hash) {
    if (!text.empty()) text += "; ";
    text += "bundle.sha256: recorded " + reference.bundle_hash + " (" + reference.bundle_name;
    text += "), now " + prepared.manifest.hash + " (" + prepared.manifest.name + ")";
  }
  if (text.empty()) return;
  throw InputError(regress_case.reference.string() + ": was made with something else: " + text +
                   "; undo the change, or record it with --update");
}

Prepared prepare(const RegressCase& regress_case, const RegressAsk& ask) {
  Request where = regress_case.request;
  where.adopt(ask.flags);
  Prepared prepared;
  prepared.manifest = Bundle::open(find_bundle(where));
  prepared.plans = resolve_regress(regress_case, ask.flags, prepared.manifest);
  const Plan& cached = prepared.plans.cached;
  prepared.plan = regress_plan_to_json(regress_case, cached);
  add_gated_metrics(prepared.metrics, regress_case.gates);
  for (const MetricInfo& metric : prepared.metrics) {
    if (metric.find_asset != nullptr) (void)metric.find_asset();
  }
  if (ask.update) {
    check_writable(regress_case.reference);
    check_writable(reference_latents_path(regress_case));
  } else {
    prepared.reference = read_regress_reference(regress_case);
    check_same(regress_case, prepared, *prepared.reference);
  }
  open_run_device(cached.model);
  check_device_memory(cached, prepared.manifest);
  const auto schedule = make_schedule(cached, plan_latent_shape(cached, prepared.manifest));
  const CacheController within_budget(make_cache_setup(cached, prepared.manifest, *schedule));
  return prepared;
}

class Runner {
 public:
  Runner(const RegressCase& regress_case, const Prepared& prepared, Observer& observer)
      : case_(regress_case),
        prepared_(prepared),
        model_(load_model(prepared.plans.cached, prepared.manifest)),
        layout_(layout_of(prepared.plans.cached, prepared.manifest)),
        quiet_(observer),
        observer_(observer),
        values_(prepared.metrics.size()) {}

  RegressRuns run() {
    RegressRuns runs;
    for (const std::string& prompt : case_.prompts) {
      for (const std::int64_t seed : case_.seeds) add_clip(runs, prompt, seed);
    }
    runs.repeated_hash = one(prepared_.plans.cached).report.latents_hash;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      runs.quality.push_back(summarize(prepared_.metrics[i], std::move(values_[i])));
    }
    const ModelPlan& model = prepared_.plans.cached.model;
    runs.record.fingerprint = numeric_fingerprint(model);
    runs.record.provenance = {
        {"program", BW_VERSION},
        {"date", now_utc()},
        {"command", "bwcache-gen regress " + case_.file.filename().string() + " --update"},
        {"environment", environment_fingerprint(model)}};
    runs.record.peak_memory_bytes = peak_memory_bytes();
    return runs;
  }

 private:
  RawClip one(const Plan& plan) {
    RawClip clip = make_raw_clip(*model_, plan, quiet_);
    const auto total = static_cast<std::int64_t>(2 * case_.prompts.size() * case_.seeds.size() + 1);
    observer_.step(++done_, total, case_.name);
    return clip;
  }

  void add_clip(RegressRuns& runs, const std::string& prompt, std::int64_t seed) {
    const RawClip uncached = one(with_clip(prepared_.plans.uncached, prompt, seed));
    const RawClip cached = one(with_clip(prepared_.plans.cached, prompt, seed));
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const MetricInfo& metric = prepared_.metrics[i];
      const auto part = metric.kind == ClipKind::kLatents ? &RawClip::latents : &RawClip::frames;
      const auto results = compare(cached.*part, uncached.*part, {&metric, 1});
      const std::vector<double>& values = results.front().values;
      values_[i].insert(values_[i].end(), values.begin(), values.end());
    }
    const CacheReport& cache = cached.report.cache;
    runs.declared_cache_bytes = cache.totals.declared_bytes;
    runs.record.clips.push_back({.prompt = prompt,
                                 .seed = seed,
                                 .uncached_latents = uncached.latents,
                                 .cached_latents = cached.latents,
                                 .uncached_hash = uncached.report.latents_hash,
                                 .cached_hash = cached.report.latents_hash,
                                 .counts = count_reuse(cache.totals, layout_),
                                 .computed_fraction = 1 - cache.reused_fraction(),
                                 .cache_bytes = cache.totals.peak_bytes});
  }

  const RegressCase& case_;
  const Prepared& prepared_;
  std::shared_ptr<const Bundle> model_;
  CacheLayout layout_;
  QuietObserver quiet_;
  Observer& observer_;
  std::vector<std::vector<double>> values_;  // per metric, of all clips
  std::int64_t done_ = 0;
};

// What other machines recorded of the same plan and bundle.
std::map<std::string, RegressRecord> other_machines(const RegressCase& regress_case,
                                                    const Prepared& prepared, Observer& observer) {
  if (!std::filesystem::exists(regress_case.reference)) return {};
  try {
    RegressReference old = read_regress_reference(regress_case);
    check_same(regress_case, prepared, old);
    return std::move(old.machines);
  } catch (const InputError& error) {
    observer.note(std::string("replaces the old reference: ") + error.what());
    return {};
  }
}

void update(const RegressCase& regress_case, const Prepared& prepared, const RegressRuns& runs,
            Observer& observer) {
  RegressReference reference;
  reference.plan = prepared.plan;
  reference.bundle_name = prepared.manifest.name;
  reference.bundle_hash = prepared.manifest.hash;
  reference.machines = other_machines(regress_case, prepared, observer);
  reference.latents_of = fingerprint_hash(runs.record.fingerprint);
  reference.machines.insert_or_assign(reference.latents_of, runs.record);
  for (const RegressClip& clip : runs.record.clips) {
    reference.uncached_latents.push_back(clip.uncached_latents);
    reference.cached_latents.push_back(clip.cached_latents);
  }
  write_regress_reference(regress_case, reference);
}

const char* verdict_name(CheckOutcome verdict) {
  if (verdict == CheckOutcome::kPassed) return "passed";
  return verdict == CheckOutcome::kFailed ? "failed" : "not checked";
}

Json machine_to_json(const RegressRecord& record, const RegressReference* reference) {
  const std::string hash = fingerprint_hash(record.fingerprint);
  Json json = {{"hash", hash}, {"fingerprint", record.fingerprint}};
  if (reference == nullptr) return json;
  const RegressBaseline baseline = find_baseline(*reference, hash);
  json["recorded"] = baseline.same_machine;
  json["compared_with"] = baseline.same_machine ? hash : reference->latents_of;
  json["recorded_at"] = baseline.record->provenance.value("date", "an unknown time");
  if (!baseline.same_machine) {
    json["differences"] = fingerprint_differences(baseline.record->fingerprint, record.fingerprint);
  }
  return json;
}

}  // namespace

Json run_regress_case(const RegressCase& regress_case, const RegressAsk& ask, Observer& observer) {
  const Prepared prepared = prepare(regress_case, ask);
  const RegressRuns runs = Runner(regress_case, prepared, observer).run();
  std::vector<RegressCheck> checks = own_checks(regress_case, runs);
  const RegressReference* reference = prepared.reference ? &*prepared.reference : nullptr;
  if (reference != nullptr) {
    for (RegressCheck& check : reference_checks(regress_case, runs, *reference)) {
      checks.push_back(std::move(check));
    }
  }
  Json rows = Json::array();
  std::int64_t failed = 0;
  for (const RegressCheck& check : checks) {
    failed += check.verdict == CheckOutcome::kFailed ? 1 : 0;
    rows.push_back({{"name", check.name},
                    {"value", check.value},
                    {"limit", check.limit},
                    {"verdict", verdict_name(check.verdict)},
                    {"detail", check.detail}});
  }
  const bool updates = ask.update && failed == 0;
  if (updates) update(regress_case, prepared, runs, observer);
  return {{"name", regress_case.name},
          {"case", regress_case.file.string()},
          {"reference", regress_case.reference.string()},
          {"updated", updates},
          {"bundle", {{"name", prepared.manifest.name}, {"sha256", prepared.manifest.hash}}},
          {"machine", machine_to_json(runs.record, reference)},
          {"clips", runs.record.clips.size()},
          {"checks", rows},
          {"failed", failed}};
}

}  // namespace bw
