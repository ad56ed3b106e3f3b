#include "run/tune_forecast.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "cache/policy_table.h"
#include "run/cache_setup.h"

namespace bw {
namespace {

CacheSetup setup_of(const CachePlan& cache, Plan plan, const Manifest& manifest) {
  plan.clip.cache = cache;
  const auto schedule = make_schedule(plan, plan_latent_shape(plan, manifest));
  return make_cache_setup(plan, manifest, *schedule);
}

// Share of an evaluation's blocks that a branch reuses, and whether it leaves a sample to reuse.
double reused_share(const BranchPlan& done, std::size_t num_blocks) {
  const auto share = [](const std::vector<bool>& reused) {
    return static_cast<double>(std::count(reused.begin(), reused.end(), true)) /
           static_cast<double>(std::max<std::size_t>(reused.size(), 1));
  };
  if (done.reuse == Site::kNone) return 0;
  if (done.reuse == Site::kBlock || done.reuse == Site::kMiddle) return share(done.blocks);
  if (done.reuse != Site::kStage) return 1;
  double sum = 0;
  for (const std::vector<bool>& stages : done.stages) sum += share(stages);
  return sum / static_cast<double>(num_blocks);
}

// To three digits: what a threshold in a config should look like.
double rounded_up(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 2);
  return std::strtod(significant(std::ceil(value / unit) * unit, 3).c_str(), nullptr);
}

const BranchRecord* find_branch(const EvaluationRecord& evaluation, Branch branch) {
  for (const BranchRecord& record : evaluation.branches) {
    if (record.branch == branch) return &record;
  }
  return nullptr;
}

std::string decisions_of(const CacheReport& report) {
  std::string text = report.rebuild + ";";
  for (const EvaluationRecord& evaluation : report.evaluations) {
    text += evaluation.guided_reused ? "g" : "";
    for (const BranchRecord& branch : evaluation.branches) {
      text += site_name(branch.done.reuse);
      for (std::size_t block = 0; block < branch.done.blocks.size(); ++block) {
        text += leaves_out(branch.done, block) ? 'r' : is_int8(branch.done, block) ? 'q' : 'c';
      }
      for (const auto& stages : branch.done.stages) {
        for (const bool reused : stages) text += reused ? 'r' : 'c';
      }
    }
    text += ';';
  }
  return text;
}

constexpr double kJustAbove = 1.0001;  // a distance below its threshold makes a policy reuse
constexpr int kHalvings = 8;           // of the lowest distance, in half steps
constexpr int kDoublings = 20;

const char* indicator_of(SignalKind kind) {
  if (kind == SignalKind::kAttentionInput) return "attention_input";
  if (kind == SignalKind::kStageResidual) return "attention_residual";
  return kind == SignalKind::kBlockResidual ? "block_residual" : "block_output";
}

// Steps between evaluations whose distances were read: what the indicator costs is shared by them.
std::int64_t measured_evaluations(const CacheReport& report) {
  return std::count_if(
      report.evaluations.begin(), report.evaluations.end(), [](const EvaluationRecord& evaluation) {
        return !evaluation.branches.empty() && !evaluation.branches.front().distances.empty();
      });
}

}  // namespace

namespace {

// BWCache with threshold 0 measures all blocks of both branches at every step.
CachePlan record_blocks(SignalKind kind) {
  const Origin origin = Origin::flag("--cache bwcache");
  CachePlan cache;
  cache.policy = "bwcache";
  cache.params =
      find_cache_policy("bwcache", origin)
          .resolve({{"threshold", 0}, {"verdict", "mean"}, {"indicator", indicator_of(kind)}},
                   origin);
  return cache;
}

// A policy of the latents records them itself, with its threshold at 0.
CachePlan record_latents(CachePlan cache) {
  const CachePolicyInfo& info = find_cache_policy(cache.policy, Origin::flag("--cache"));
  cache.params["threshold"] = 0;
  cache.params = info.resolve(cache.params, Origin::flag("--cache " + cache.policy));
  return cache;
}

}  // namespace

std::vector<Plan> recording_plans(const Plan& base, const Manifest& manifest) {
  const CacheSetup setup = setup_of(base.clip.cache, base, manifest);
  const CacheNeeds& needs = setup.policy->needs();
  std::vector<CachePlan> caches = {record_blocks(SignalKind::kBlockOutput)};
  const SignalKind kind = needs.signal.kind;
  if (kind != SignalKind::kNone && kind != SignalKind::kBlockOutput) {
    caches.push_back(record_blocks(kind));
  }
  if (needs.latents) caches.push_back(record_latents(base.clip.cache));
  std::vector<Plan> plans;
  for (CachePlan& cache : caches) {
    plans.push_back(base);
    plans.back().clip.cache = std::move(cache);
  }
  return plans;
}

Forecaster::Forecaster(const Plan& plan, const Manifest& manifest)
    : plan_(plan), manifest_(manifest), layout_(setup_of(CachePlan(), plan, manifest).layout) {}

void Forecaster::add(const Report& uncached) {
  record_.add(uncached.cache);
  if (uncached.cache.signal.kind == SignalKind::kNone) return;
  const CacheTotals& totals = uncached.cache.totals;
  const double seconds = uncached.timings.denoise - totals.indicator_seconds;
  if (uncached_seconds_ == 0 || seconds < uncached_seconds_) {
    uncached_ = totals;
    uncached_seconds_ = seconds;
  }
  const SignalKind kind = record_.evaluations.contains(SignalKind::kBlockOutput)
                              ? SignalKind::kBlockOutput
                              : SignalKind::kAttentionInput;
  levels_ = feature_levels(record_, kind, layout_);
}

double Forecaster::saved_seconds(const CacheTotals& totals) const {
  const auto saved = [](const ModelWork& before, const ModelWork& after) {
    if (before.rows == 0) return 0.0;
    return before.seconds / static_cast<double>(before.rows) *
           static_cast<double>(before.rows - after.rows);
  };
  double seconds = saved(uncached_.model.embed, totals.model.embed) +
                   saved(uncached_.model.head, totals.model.head);
  for (const auto& [kind, before] : uncached_.model.blocks) {
    const auto after = totals.model.blocks.find(kind);
    seconds += saved(before, after == totals.model.blocks.end() ? ModelWork() : after->second);
  }
  return seconds;
}

double Forecaster::error_of(const CacheReport& rehearsed) const {
  const GuidancePlan& guidance = plan_.clip.guidance;
  std::array<double, kNumBranches> anchors = {1, 1};
  double error = 0;
  for (std::size_t i = 0; i < rehearsed.evaluations.size(); ++i) {
    const EvaluationRecord& evaluation = rehearsed.evaluations[i];
    const double next =
        i + 1 < rehearsed.evaluations.size() ? rehearsed.evaluations[i + 1].context.sigma : 0.0;
    const double width = std::abs(evaluation.context.sigma - next);
    for (const Branch branch : kBranches) {
      if (branch == Branch::kUncond && !evaluation.context.guided) continue;
      const double scale = evaluation.context.guided ? guidance.scale : 1;
      const double weight = branch == Branch::kCond ? scale : std::abs(1 - scale);
      const double level = levels_[i][index_of(branch)].back();
      const BranchRecord* record = find_branch(evaluation, branch);
      const double share =
          record == nullptr ? 1 : reused_share(record->done, evaluation.num_blocks);
      double& anchor = anchors[index_of(branch)];
      if (share == 0) anchor = level;
      error += weight * width * share * (level / anchor - 1);
    }
  }
  return error;
}

Forecast Forecaster::forecast(const CachePlan& cache) const {
  BW_CHECK(!levels_.empty(), "nothing was recorded");
  const CacheReport rehearsed = rehearse(setup_of(cache, plan_, manifest_), record_);
  const std::int64_t recorded = static_cast<std::int64_t>(layout_.evaluations.size()) - 1;
  const double indicator = uncached_.indicator_seconds *
                           static_cast<double>(measured_evaluations(rehearsed)) /
                           static_cast<double>(std::max<std::int64_t>(recorded, 1));
  const double seconds = uncached_seconds_ - saved_seconds(rehearsed.totals) + indicator;
  return {1 - rehearsed.reused_fraction(),
          uncached_seconds_ / std::max(seconds, 1e-3 * uncached_seconds_), error_of(rehearsed),
          decisions_of(rehearsed)};
}

// What the policy would have compared with its threshold at each step, just above.
std::set<double> Forecaster::recorded_changes(const CachePlan& cache) const {
  const CacheSetup setup = setup_of(cache, plan_, manifest_);
  const CacheNeeds& needs = setup.policy->needs();
  std::set<double> changes;
  const auto add = [&](double change) {
    if (std::isfinite(change) && change > 0) changes.insert(change * kJustAbove);
  };
  if (const auto recorded = record_.evaluations.find(needs.signal.kind);
      recorded != record_.evaluations.end()) {
    for (const SignalRecord::Changes& evaluation : recorded->second) {
      add(mean_distance(evaluation[index_of(Branch::kCond)]).value_or(0));
    }
  }
  if (needs.latents) {
    for (const std::optional<LatentSignals>& latents : record_.latents) {
      if (latents && latents->rate) add(*latents->rate * latents->change / latents->size);
    }
  }
  return changes;
}

std::vector<double> Forecaster::spread_thresholds(const CachePlan& cache, const std::string& param,
                                                  std::size_t count) const {
  std::set<double> trials = recorded_changes(cache);
  if (trials.empty()) {
    reject(Origin::flag("--vary").at(param),
           "the policy '" + cache.policy + "' measures nothing to choose it by; write its values");
  }
  // Policies that sum distances up, or rescale them, have thresholds elsewhere.
  const double lowest = *trials.begin();
  for (int i = -kHalvings; i <= kDoublings; ++i) trials.insert(lowest * std::exp2(i / 2.0));
  // Equal shares of computed blocks are one choice.
  const CachePolicyInfo& info = find_cache_policy(cache.policy, Origin::flag("--cache"));
  std::map<double, double> by_share;
  for (const double value : trials) {
    CachePlan trial = cache;
    const double threshold = rounded_up(value);
    trial.params[param] = threshold;
    trial.params = info.resolve(trial.params, Origin::flag("--vary"));
    const double share = forecast(trial).computed_fraction;
    if (share < 1) by_share.emplace(share, threshold);
  }
  std::vector<double> thresholds;
  const std::size_t wanted = std::min(count, by_share.size());
  for (std::size_t i = 0; i < wanted; ++i) {
    const std::size_t at = wanted == 1 ? 0 : i * (by_share.size() - 1) / (wanted - 1);
    thresholds.push_back(std::next(by_share.begin(), static_cast<std::ptrdiff_t>(at))->second);
  }
  std::sort(thresholds.begin(), thresholds.end());
  return thresholds;
}

}  // namespace bw
