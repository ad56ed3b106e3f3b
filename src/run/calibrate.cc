#include "run/calibrate.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cache/made_for.h"
#include "cache/rehearse.h"
#include "run/cache_setup.h"
#include "run/environment.h"
#include "run/generate.h"
#include "run/raw_clip.h"

namespace bw {

#define BW_CALIBRATION(name) [[nodiscard]] CalibrationInfo name##_calibration();
#include "run/calibrations.inc"
#undef BW_CALIBRATION

std::span<const CalibrationInfo> calibrations() {
  static const std::vector<CalibrationInfo> kCalibrations = {
#define BW_CALIBRATION(name) name##_calibration(),
#include "run/calibrations.inc"
#undef BW_CALIBRATION
  };
  return kCalibrations;
}

void require_steps(const CalibrationTask& task, std::int64_t least, const std::string& why) {
  if (task.plan.clip.steps >= least) return;
  reject(Origin::flag("--steps"), "calibrating " + task.plan.clip.cache.policy +
                                      " needs at least " + std::to_string(least) + " steps, got " +
                                      std::to_string(task.plan.clip.steps) + ": " + why);
}

namespace {

Plan uncached(Plan plan) {
  plan.clip.cache = CachePlan();
  return plan;
}

class Calibrator {
 public:
  Calibrator(const Bundle& model, const CalibrateSetup& setup, Calibration& calibration,
             Observer& observer)
      : model_(model),
        setup_(setup),
        calibration_(calibration),
        observer_(observer),
        quiet_(observer),
        planned_(static_cast<std::int64_t>(setup.clips.size()) * (1 + calibration.num_reruns())) {}

  void run() {
    for (const CalibrationClip& clip : setup_.clips) {
      const Plan plan = with_clip(uncached(setup_.base), clip.prompt, clip.seed);
      const at::Tensor latents = latents_of(plan, calibration_.recorder(), "recorded");
      calibration_.finish_clip(latents, [&](const CachePlan& cache) {
        Plan cached = plan;
        cached.clip.cache = cache;
        return latents_of(cached, nullptr, "tried");
      });
    }
  }

 private:
  at::Tensor latents_of(const Plan& plan, FeatureRecorder* recorder, const char* what) {
    Denoised done = denoise(model_, plan, quiet_, recorder);
    if (done.steps < plan.clip.steps) {
      throw Interrupted("calibrating was stopped; nothing was written");
    }
    observer_.step(++done_, planned_, what);
    return done.latents;
  }

  const Bundle& model_;
  const CalibrateSetup& setup_;
  Calibration& calibration_;
  Observer& observer_;
  QuietObserver quiet_;
  std::int64_t planned_;
  std::int64_t done_ = 0;
};

// Everything that made_for compares, so that the config alone gives such a run.
Json config_of(const Plan& plan) {
  const ClipPlan& clip = plan.clip;
  Json config = {{"steps", clip.steps},
                 {"sampler", clip.sampler},
                 {"width", clip.width},
                 {"height", clip.height},
                 {"num_frames", clip.num_frames},
                 {"guidance_scale", clip.guidance.scale},
                 {"guidance_rescale", clip.guidance.rescale},
                 {"guidance_start", clip.guidance.start},
                 {"guidance_end", clip.guidance.end}};
  for (const char* key : {"shift", "flow_shift"}) {
    const bool is_dynamic = clip.scheduler.value("use_dynamic_shifting", false);
    if (clip.scheduler.contains(key) && !is_dynamic) config["flow_shift"] = clip.scheduler.at(key);
  }
  config["cache"] = cache_config(clip.cache.params, plan_to_json(plan, false).at("cache"));
  return config;
}

Json provenance(const Bundle& model, const CalibrateSetup& setup) {
  Json clips = Json::array();
  for (const CalibrationClip& clip : setup.clips) {
    clips.push_back({{"prompt", clip.prompt}, {"seed", clip.seed}});
  }
  return {{"made_by", "bwcache-gen calibrate"},
          {"bundle", {{"name", model.manifest().name}, {"sha256", model.manifest().hash}}},
          {"plan", plan_to_json(uncached(setup.base), false)},
          {"clips", clips},
          {"environment", environment_fingerprint(setup.base.model)}};
}

// What the policy will do with the table, where that does not depend on what a run measures.
std::vector<std::string> forecast(const Plan& plan, const Manifest& manifest) {
  const auto schedule = make_schedule(plan, plan_latent_shape(plan, manifest));
  CacheSetup setup = make_cache_setup(plan, manifest, *schedule);
  const CacheNeeds& needs = setup.policy->needs();
  if (needs.signal.kind != SignalKind::kNone || needs.latents) return {};
  const CacheReport report = rehearse(std::move(setup), {});
  std::string steps;
  for (const EvaluationRecord& evaluation : report.evaluations) {
    const bool reused =
        evaluation.guided_reused ||
        std::any_of(evaluation.branches.begin(), evaluation.branches.end(),
                    [](const BranchRecord& branch) { return branch.done.reuse != Site::kNone; });
    steps += reused ? '.' : '#';
  }
  const double computed = 100 * (1 - report.reused_fraction());
  return {"evaluations: " + steps + "   (# computed, . something reused)",
          significant(computed, 3) + " % of the blocks will be computed"};
}

std::string table_of(const Plan& plan, const CalibrationInfo& info, std::size_t clips,
                     const std::vector<std::string>& lines) {
  std::string table = plan.clip.cache.policy;
  table += ": ";
  table += info.measures;
  table += ", mean of " + std::to_string(clips) + (clips == 1 ? " clip\n" : " clips\n");
  for (const std::string& line : lines) table += line + "\n";
  return table;
}

const CalibrationInfo& find_calibration(const std::string& policy) {
  std::vector<std::string> known;
  for (const CalibrationInfo& info : calibrations()) {
    if (info.policy == policy) return info;
    known.emplace_back(info.policy);
  }
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  reject(Origin::flag("--cache"),
         "the policy '" + policy + "' needs no calibration; those that do are: " + names);
}

}  // namespace

std::unique_ptr<Calibration> make_calibration(const Plan& plan, const Manifest& manifest) {
  const CalibrationInfo& info = find_calibration(plan.clip.cache.policy);
  const auto schedule = make_schedule(plan, plan_latent_shape(plan, manifest));
  return info.make({plan, cache_layout(plan, manifest, *schedule)});
}

Calibrated calibrate(const Bundle& model, const CalibrateSetup& setup, Calibration& calibration,
                     Observer& observer) {
  Calibrator(model, setup, calibration, observer).run();
  const CalibrationResult found = calibration.result();
  Plan plan = setup.base;
  RunIdentity identity = calibration_identity(plan, model.manifest());
  identity.insert(found.identity.begin(), found.identity.end());
  plan.clip.cache.params.update(found.params);
  plan.clip.cache.params["made_for"] = made_for_text(identity);
  plan.clip.cache.preset.clear();
  std::vector<std::string> lines = found.notes;
  for (std::string& line : forecast(plan, model.manifest())) lines.push_back(std::move(line));
  Json config = config_of(plan);
  config["provenance"] = provenance(model, setup);
  const CalibrationInfo& info = find_calibration(plan.clip.cache.policy);
  return {std::move(config), table_of(plan, info, setup.clips.size(), lines)};
}

}  // namespace bw
