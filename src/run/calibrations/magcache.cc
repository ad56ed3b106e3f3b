// The ratios of MagCache: mean over the tokens of all streams of |R_k|₂ / |R_{k−1}|₂, R the stack's
// residual, per branch and step. Keeps the norms of one step, not the features.
#include <ATen/ATen.h>

#include <map>

#include "run/calibration.h"
#include "run/calibration_means.h"

namespace bw {
namespace {

class MagcacheCalibration final : public Calibration, private FeatureRecorder {
 public:
  explicit MagcacheCalibration(const CalibrationTask& task) {
    parts_.stack = true;
    const auto steps = static_cast<std::size_t>(task.plan.clip.steps);
    ratios_.declare("cond", steps);
    if (task.plan.clip.guidance.enabled) ratios_.declare("uncond", steps);
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    last_.clear();
  }
  CalibrationResult result() const override {
    CalibrationResult found;
    found.params["ratios"] = ratios_.table().text();
    return found;
  }

 private:
  struct Norms {
    std::int64_t step = 0;
    at::Tensor norms;  // [tokens] f32
  };

  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kStack || key.part != 0) return;
    std::vector<at::Tensor> norms;
    for (const at::Tensor& stream : value) {
      norms.push_back(stream.to(at::kFloat).norm(2, -1).flatten());
    }
    const at::Tensor now = at::cat(norms);
    Norms& last = last_[key];
    if (last.norms.defined() && last.step + 1 == context.step) {
      ratios_.add(std::string(branch_name(key.branch)), static_cast<std::size_t>(context.step),
                  (now / last.norms).mean().item<double>());
    }
    last = {context.step, now};
  }

  RecordedParts parts_;
  MeanTable ratios_;
  std::map<CacheKey, Norms> last_;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 2, "a ratio is that of two neighbouring steps");
  return std::make_unique<MagcacheCalibration>(task);
}

}  // namespace

CalibrationInfo magcache_calibration() {
  return {"magcache", "ratio of the stack's residuals at neighbouring steps", make};
}

}  // namespace bw
