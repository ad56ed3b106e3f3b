// The errors of MeanCache (policies/meancache.cc): C(i, j) = |û − u|₁ / |u|₁ of the mean velocity
// from step i to step j, the steps between made as a run would make them, mean over clips, for
// every span; per i and j the least of them. Keeps predictions and latents of max_lag + 6 steps.
#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "cache/rebuild.h"
#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/feature_distance.h"
#include "run/guidance.h"

namespace bw {
namespace {

class MeancacheCalibration final : public Calibration, private FeatureRecorder {
 public:
  MeancacheCalibration(const CalibrationTask& task, std::int64_t max_lag)
      : guidance_(task.plan.clip.guidance, task.plan.clip.steps), max_lag_(max_lag) {
    parts_.prediction = true;
    parts_.latents = true;
    for (std::int64_t lag = 2; lag <= max_lag_; ++lag) {
      for (int span = 1; span <= Rebuild::kMaxSpan; ++span) {
        errors_.declare(row(lag, span), num_edges(task.plan.clip.steps, lag));
      }
    }
    num_steps_ = task.plan.clip.steps;
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    steps_.clear();
    cond_.reset();
  }

  CalibrationResult result() const override {
    CalibratedTable table;
    for (std::int64_t lag = 2; lag <= max_lag_; ++lag) {
      std::vector<double> errors;
      std::vector<double> spans;
      for (std::size_t from = 0; from < num_edges(num_steps_, lag); ++from) {
        int best = 1;
        const auto error = [&](int span) { return errors_.mean(row(lag, span), from); };
        for (int span = 2; span <= Rebuild::kMaxSpan; ++span) {
          if (error(span) < error(best)) best = span;
        }
        errors.push_back(error(best));
        spans.push_back(best);
      }
      table.add(std::to_string(lag), std::move(errors));
      table.add(std::to_string(lag) + ".span", std::move(spans));
    }
    CalibrationResult found;
    found.params["errors"] = table.text();
    return found;
  }

 private:
  struct Step {
    EvaluationContext context;
    at::Tensor latents;
    at::Tensor velocity;  // guided
  };

  static std::string row(std::int64_t lag, int span) {
    return std::to_string(lag) + "." + std::to_string(span);
  }
  // Between steps of the run, its last among them.
  static std::size_t num_edges(std::int64_t steps, std::int64_t lag) {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, steps - lag));
  }

  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.part != 0) return;
    if (key.slot == Slot::kLatents) {
      latents_ = value.front().clone();
    } else if (key.slot == Slot::kBranch && key.branch == Branch::kCond) {
      cond_ = value.front().clone();
      if (!context.guided) add({context, latents_, guidance_.combine({cond_, std::nullopt})});
    } else if (key.slot == Slot::kBranch) {
      add({context, latents_, guidance_.combine({cond_, value.front()})});
    }
  }

  void add(Step step) {
    for (std::int64_t lag = 2; lag <= std::min(max_lag_, std::ssize(steps_)); ++lag) {
      const std::size_t from = steps_.size() - static_cast<std::size_t>(lag);
      const auto column = static_cast<std::size_t>(steps_[from].context.step);
      for (int span = 1; span <= std::min<int>(Rebuild::kMaxSpan, static_cast<int>(from) + 1);
           ++span) {
        errors_.add(row(lag, span), column, error(from, step.context.sigma, span));
      }
    }
    // A run keeps nothing across such a change.
    if (!steps_.empty() && (steps_.back().context.expert != step.context.expert ||
                            steps_.back().context.guided != step.context.guided)) {
      steps_.clear();
    }
    steps_.push_back(std::move(step));
    if (std::ssize(steps_) > max_lag_ + Rebuild::kMaxSpan) steps_.pop_front();
  }

  // Of the mean velocity from steps_[from] to the noise level `end`, which follows the last one's.
  double error(std::size_t from, double end, int span) const {
    const Rebuild rule = Rebuild::mean_velocity(span);
    std::vector<Sample> samples;  // newest first
    const auto keep = [&](const EvaluationContext& context, const at::Tensor& z,
                          const at::Tensor& v) {
      samples.insert(samples.begin(), {context.step, rule.keep({z}, {v}), context.sigma});
      if (samples.size() > rule.depth()) samples.pop_back();
    };
    for (std::size_t i = from + 1 - static_cast<std::size_t>(span); i <= from; ++i) {
      keep(steps_[i].context, steps_[i].latents, steps_[i].velocity);
    }
    const auto sigma = [&](std::size_t i) {
      return i < steps_.size() ? steps_[i].context.sigma : end;
    };
    const at::Tensor first = steps_[from].velocity * (sigma(from + 1) - sigma(from));
    at::Tensor moved = first.clone();  // from step to step
    at::Tensor made = first.clone();
    at::Tensor z = steps_[from + 1].latents;
    for (std::size_t i = from + 1; i < steps_.size(); ++i) {
      const EvaluationContext& context = steps_[i].context;
      const double change = sigma(i + 1) - sigma(i);
      const RebuildAt here{context.step, context.num_steps, static_cast<double>(span), sigma(i),
                           sigma(i + 1)};
      const at::Tensor v = rule.value(samples, here, {z}).front();
      keep(context, z, v);
      z = at::add(z, v, change);
      made.add_(v, change);
      moved.add_(steps_[i].velocity, change);
    }
    return relative_l1({made}, {moved});
  }

  Guidance guidance_;
  std::int64_t max_lag_;
  std::int64_t num_steps_ = 0;
  RecordedParts parts_;
  MeanTable errors_;  // rows LAG.SPAN
  at::Tensor latents_;
  std::optional<at::Tensor> cond_;  // of the evaluation at hand
  std::deque<Step> steps_;          // that one run could look back to, oldest first
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 3, "the first and the last step are always computed");
  const auto max_lag = task.plan.clip.cache.params.at("max_lag").get<std::int64_t>();
  return std::make_unique<MeancacheCalibration>(task, max_lag);
}

}  // namespace

CalibrationInfo meancache_calibration() {
  return {"meancache", "error of the mean velocity where steps are left out, and the best span",
          make};
}

}  // namespace bw
