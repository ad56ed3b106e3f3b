// The changes of Block Caching: l(n, k) = |C_{n,k} − C_{n,k−1}|₁ / |C_{n,k}|₁, C_n what block n
// adds, mean over branches and clips. Keeps what every block added at the step before. With
// correction=scale_shift also a and b of least Σ (C_{n,k} − a · C_{n,k−m} − b)² over all elements,
// branches and clips, for every lag m up to max_lag; keeps what every block added at max_lag steps.
#include <ATen/ATen.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>

#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/feature_distance.h"

namespace bw {
namespace {

std::string row(std::size_t expert, std::size_t block) {
  return std::to_string(expert) + "." + std::to_string(block);
}

// The line y ≈ a · x + b of least squares, from sums.
class Line {
 public:
  void add(const Hidden& xs, const Hidden& ys) {
    for (std::size_t stream = 0; stream < xs.size(); ++stream) {
      const at::Tensor x = xs[stream].to(at::kFloat);
      const at::Tensor y = ys[stream].to(at::kFloat);
      count_ += static_cast<double>(x.numel());
      x_ += sum(x);
      y_ += sum(y);
      xx_ += sum(x * x);
      xy_ += sum(x * y);
    }
  }
  // Infinite where x does not vary.
  [[nodiscard]] ScaleShift fit() const {
    constexpr double kUnknown = std::numeric_limits<double>::infinity();
    const double spread = xx_ - x_ * x_ / count_;
    if (!(spread > 0)) return {kUnknown, kUnknown};
    const double scale = (xy_ - x_ * y_ / count_) / spread;
    return {scale, (y_ - scale * x_) / count_};
  }

 private:
  static double sum(const at::Tensor& values) { return values.sum(at::kDouble).item<double>(); }

  double count_ = 0;
  double x_ = 0;
  double y_ = 0;
  double xx_ = 0;
  double xy_ = 0;
};

class BlockcachingCalibration final : public Calibration, private FeatureRecorder {
 public:
  // max_lag: of the corrections; 0: there are none.
  BlockcachingCalibration(const CalibrationTask& task, std::int64_t max_lag) : max_lag_(max_lag) {
    parts_.blocks = true;
    const auto steps = static_cast<std::size_t>(task.plan.clip.steps);
    const std::vector<ExpertLayout>& experts = task.layout.experts;
    for (std::size_t expert = 0; expert < experts.size(); ++expert) {
      for (std::size_t block = 0; block < experts[expert].blocks.size(); ++block) {
        changes_.declare(row(expert, block), steps);
        for (std::int64_t lag = 1; lag <= max_lag; ++lag) {
          lines_[row(expert, block) + "." + std::to_string(lag)].resize(steps);
        }
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
    // Without any, those of an earlier calibration must not stay.
    found.params["corrections"] = corrections().text();
    return found;
  }

 private:
  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kBlock || key.part != 0) return;
    std::deque<Sample>& samples = last_[key];  // newest first
    for (const Sample& sample : samples) {
      const std::int64_t lag = context.step - sample.step;
      const auto step = static_cast<std::size_t>(context.step);
      if (lag == 1)
        changes_.add(row(key.expert, key.block), step, relative_l1(sample.value, value));
      if (lag <= max_lag_) lines_of(key, lag)[step].add(sample.value, value);
    }
    samples.push_front({context.step, cloned(value)});
    if (std::ssize(samples) > std::max<std::int64_t>(1, max_lag_)) samples.pop_back();
  }

  std::vector<Line>& lines_of(const CacheKey& key, std::int64_t lag) {
    return lines_.at(row(key.expert, key.block) + "." + std::to_string(lag));
  }

  CalibratedTable corrections() const {
    CalibratedTable table;
    for (const auto& [name, lines] : lines_) {
      std::vector<double> scales;
      std::vector<double> shifts;
      for (const Line& line : lines) {
        const ScaleShift fit = line.fit();
        scales.push_back(fit.scale);
        shifts.push_back(fit.shift);
      }
      table.add(name + ".scale", std::move(scales));
      table.add(name + ".shift", std::move(shifts));
    }
    return table;
  }

  std::int64_t max_lag_;
  RecordedParts parts_;
  MeanTable changes_;
  std::map<std::string, std::vector<Line>> lines_;  // per EXPERT.BLOCK.LAG, by step
  std::map<CacheKey, std::deque<Sample>> last_;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 2, "a change is that between two steps");
  const Json& params = task.plan.clip.cache.params;
  const bool fits = params.at("correction").get<std::string>() == "scale_shift";
  return std::make_unique<BlockcachingCalibration>(
      task, fits ? params.at("max_lag").get<std::int64_t>() : 0);
}

}  // namespace

CalibrationInfo blockcaching_calibration() {
  return {"blockcaching", "change of what each block adds, from step to step", make};
}

}  // namespace bw
