// The errors of SmoothCache: E_c(k, m) = mean over stages j of kind c, branches and clips of
// |o_{j,k+m} − o_{j,k}|₁ / |o_{j,k+m}|₁. Keeps every stage's output of the last `max_lag` steps.
#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/feature_distance.h"

namespace bw {
namespace {

class SmoothcacheCalibration final : public Calibration, private FeatureRecorder {
 public:
  SmoothcacheCalibration(const CalibrationTask& task, const std::set<std::string>& kinds,
                         std::int64_t max_lag)
      : layout_(task.layout), max_lag_(max_lag) {
    parts_.stages = true;
    for (const std::string& kind : kinds) {
      for (std::int64_t lag = 1; lag <= max_lag; ++lag) {
        const std::int64_t size = std::max<std::int64_t>(0, task.plan.clip.steps - lag);
        errors_.declare(row(kind, lag), static_cast<std::size_t>(size));
      }
    }
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    last_.clear();
  }
  CalibrationResult result() const override {
    CalibrationResult found;
    found.params["errors"] = errors_.table().text();
    return found;
  }

 private:
  static std::string row(const std::string& kind, std::int64_t lag) {
    return kind + "." + std::to_string(lag);
  }

  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kStage || key.part != 0) return;
    const std::string& kind = layout_.experts[key.expert].blocks[key.block].stages[key.stage];
    std::deque<Sample>& samples = last_[key];
    for (const Sample& sample : samples) {
      const std::int64_t lag = context.step - sample.step;
      if (lag > max_lag_) continue;
      errors_.add(row(kind, lag), static_cast<std::size_t>(sample.step),
                  relative_l1(sample.value, value));
    }
    samples.push_back({context.step, cloned(value)});
    if (samples.size() > static_cast<std::size_t>(max_lag_)) samples.pop_front();
  }

  CacheLayout layout_;
  std::int64_t max_lag_;
  RecordedParts parts_;
  MeanTable errors_;
  std::map<CacheKey, std::deque<Sample>> last_;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 2, "a change is that between two steps");
  std::set<std::string> kinds;
  for (const ExpertLayout& expert : task.layout.experts) {
    for (const BlockInfo& block : expert.blocks) {
      kinds.insert(block.stages.begin(), block.stages.end());
    }
  }
  if (kinds.empty()) {
    reject(Origin::flag("--cache smoothcache"),
           "the model has no stage that could be reused; its blocks must be exported with stages "
           "(docs/exporting-a-family.md)");
  }
  const auto max_lag = task.plan.clip.cache.params.at("max_lag").get<std::int64_t>();
  return std::make_unique<SmoothcacheCalibration>(task, kinds, max_lag);
}

}  // namespace

CalibrationInfo smoothcache_calibration() {
  return {"smoothcache", "change of each kind of stage over one and more steps", make};
}

}  // namespace bw
