// The changes of Block Caching: l(n, k) = |C_{n,k} − C_{n,k−1}|₁ / |C_{n,k}|₁, C_n what block n
// adds, mean over branches and clips. Keeps what every block added at the step before.
#include <ATen/ATen.h>

#include <map>

#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/feature_distance.h"

namespace bw {
namespace {

std::string row(std::size_t expert, std::size_t block) {
  return std::to_string(expert) + "." + std::to_string(block);
}

class BlockcachingCalibration final : public Calibration, private FeatureRecorder {
 public:
  explicit BlockcachingCalibration(const CalibrationTask& task) {
    parts_.blocks = true;
    const std::vector<ExpertLayout>& experts = task.layout.experts;
    for (std::size_t expert = 0; expert < experts.size(); ++expert) {
      for (std::size_t block = 0; block < experts[expert].blocks.size(); ++block) {
        changes_.declare(row(expert, block), static_cast<std::size_t>(task.plan.clip.steps));
      }
    }
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    last_.clear();
  }
  CalibrationResult result() const override {
    CalibrationResult found;
    found.params["changes"] = changes_.table().text();
    return found;
  }

 private:
  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kBlock || key.part != 0) return;
    Sample& last = last_[key];
    if (!last.value.empty() && last.step + 1 == context.step) {
      changes_.add(row(key.expert, key.block), static_cast<std::size_t>(context.step),
                   relative_l1(last.value, value));
    }
    last = {context.step, cloned(value)};
  }

  RecordedParts parts_;
  MeanTable changes_;
  std::map<CacheKey, Sample> last_;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 2, "a change is that between two steps");
  return std::make_unique<BlockcachingCalibration>(task);
}

}  // namespace

CalibrationInfo blockcaching_calibration() {
  return {"blockcaching", "change of what each block adds, from step to step", make};
}

}  // namespace bw
