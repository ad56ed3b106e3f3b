// The polynomial of TeaCache: the change of the stack's residual from step to step against the
// change of the first block's modulated input, both |a_k − a_{k−1}|₁ / |a_{k−1}|₁ of the
// conditional branch, over all steps of all clips; degree 4, least squares.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "run/calibration.h"
#include "run/feature_distance.h"
#include "run/polynomial_fit.h"

namespace bw {
namespace {

constexpr int kDegree = 4;

class TeacacheCalibration final : public Calibration, private FeatureRecorder {
 public:
  TeacacheCalibration() {
    parts_.stack = true;
    parts_.probe = true;
  }

  FeatureRecorder* recorder() override { return this; }
  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    last_.clear();
    ++clips_;
  }

  CalibrationResult result() const override {
    constexpr int kDigits = 9;
    if (inputs_.size() <= kDegree) {
      throw InputError("calibrating teacache: only " + std::to_string(inputs_.size()) +
                       " steps gave finite changes, a polynomial needs " +
                       std::to_string(kDegree + 1) + "; add prompts or --steps");
    }
    const std::vector<double> polynomial = fit_polynomial(inputs_, outputs_, kDegree);
    CalibrationResult found;
    std::string text;
    for (const double coefficient : polynomial) {
      if (!text.empty()) text += ';';
      text += significant(coefficient, kDigits);
    }
    found.params["polynomial"] = text;
    double squares = 0;
    double sum = 0;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const double value = polynomial_value(polynomial, inputs_[i]);
      squares += (value - outputs_[i]) * (value - outputs_[i]);
      sum += std::max(0.0, value);
    }
    const auto [least, most] = std::minmax_element(inputs_.begin(), inputs_.end());
    const auto count = static_cast<double>(inputs_.size());
    found.notes = {"polynomial: " + text,
                   "fitted to " + std::to_string(inputs_.size()) + " steps, input changes " +
                       significant(*least, 3) + " to " + significant(*most, 3) +
                       ", root mean square error " + significant(std::sqrt(squares / count), 3),
                   "rescaled changes add up to " + significant(sum / clips_, 3) + " over a run"};
    return found;
  }

 private:
  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    const bool is_input = key.slot == Slot::kSignal;
    if (key.part != 0 || key.branch != Branch::kCond) return;
    if (!is_input && key.slot != Slot::kStack) return;
    Sample& last = last_[key];
    if (!last.value.empty() && last.step + 1 == context.step) {
      const double change = relative_l1(value, last.value);
      // The input comes first, the stack it enters after it.
      if (is_input) {
        input_ = change;
      } else if (std::isfinite(input_) && std::isfinite(change)) {
        inputs_.push_back(input_);
        outputs_.push_back(change);
      }
    }
    last = {context.step, cloned(value)};
  }

  RecordedParts parts_;
  std::map<CacheKey, Sample> last_;
  double input_ = 0;
  std::vector<double> inputs_;
  std::vector<double> outputs_;
  double clips_ = 0;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  // Each expert's first step has none to compare with.
  require_steps(task, kDegree + 1 + static_cast<std::int64_t>(task.layout.experts.size()),
                "a polynomial of degree 4 has five coefficients, each from a change between steps");
  return std::make_unique<TeacacheCalibration>();
}

}  // namespace

CalibrationInfo teacache_calibration() {
  return {"teacache", "change of the stack's residual against that of its input", make};
}

}  // namespace bw
