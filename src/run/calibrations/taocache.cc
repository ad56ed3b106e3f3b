// The weights of TaoCache, of the guided prediction ε: cos(d_k, d') and |d_k|₂ / |d'|₂ with
// d_k = ε_k − ε_{k−1} and d' = ε_{k−1} − ε_{k−1−g}, g = 1 and 2, each averaged over clips; the
// weight is the product of the two means. Keeps the predictions of three steps.
#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <deque>
#include <optional>

#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/guidance.h"

namespace bw {
namespace {

constexpr std::array<const char*, 2> kGaps = {"1", "2"};

class TaocacheCalibration final : public Calibration, private FeatureRecorder {
 public:
  explicit TaocacheCalibration(const CalibrationTask& task)
      : guidance_(task.plan.clip.guidance, task.plan.clip.steps),
        steps_(static_cast<std::size_t>(task.plan.clip.steps)) {
    parts_.prediction = true;
    for (const char* gap : kGaps) {
      cosines_.declare(gap, steps_);
      norms_.declare(gap, steps_);
    }
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    last_.clear();
    cond_.reset();
  }

  CalibrationResult result() const override {
    CalibratedTable weights;
    for (const char* gap : kGaps) {
      std::vector<double> row;
      for (std::size_t step = 0; step < steps_; ++step) {
        row.push_back(cosines_.mean(gap, step) * norms_.mean(gap, step));
      }
      weights.add(gap, std::move(row));
    }
    CalibrationResult found;
    found.params["weights"] = weights.text();
    return found;
  }

 private:
  struct Guided {
    std::int64_t step = 0;
    std::size_t expert = 0;
    bool guided = false;
    at::Tensor prediction;
  };

  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kBranch || key.part != 0) return;
    if (key.branch == Branch::kCond) {
      cond_ = value.front().clone();
      if (!context.guided) add(context, guidance_.combine({cond_, std::nullopt}));
    } else {
      add(context, guidance_.combine({cond_, value.front()}));
    }
  }

  void add(const EvaluationContext& context, const at::Tensor& prediction) {
    if (!last_.empty() &&
        (last_.front().expert != context.expert || last_.front().guided != context.guided)) {
      last_.clear();
    }
    last_.push_front({context.step, context.expert, context.guided, prediction});
    for (std::size_t gap = 1; gap <= kGaps.size() && gap + 1 < last_.size(); ++gap) {
      const at::Tensor now = last_[0].prediction - last_[1].prediction;
      const at::Tensor before = last_[1].prediction - last_[1 + gap].prediction;
      const double size = now.norm().item<double>();
      const double size_before = before.norm().item<double>();
      const auto step = static_cast<std::size_t>(context.step);
      const double product = (now * before).sum().item<double>();
      cosines_.add(kGaps[gap - 1], step, product / (size * size_before));
      norms_.add(kGaps[gap - 1], step, size / size_before);
    }
    if (last_.size() > kGaps.size() + 1) last_.pop_back();
  }

  Guidance guidance_;
  std::size_t steps_;
  RecordedParts parts_;
  MeanTable cosines_;
  MeanTable norms_;
  std::optional<at::Tensor> cond_;  // of the evaluation at hand
  std::deque<Guided> last_;         // newest first
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 4, "a weight compares the changes between three neighbouring steps");
  return std::make_unique<TaocacheCalibration>(task);
}

}  // namespace

CalibrationInfo taocache_calibration() {
  return {"taocache", "how far each step's prediction continues the last change", make};
}

}  // namespace bw
