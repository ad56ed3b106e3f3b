// The update steps of BAC. A stage's outputs at all steps are compared with each other, so they are
// kept as fixed random projections: at most kTokens tokens, evenly spread, each value with a random
// sign added to one of kSize sums, which keeps inner products in expectation. Of the conditional
// branch alone. A feed-forward's error is the mean over all pairs of steps of |F_t − F_s|₂; the
// paper takes the sum of absolute values, which such a projection does not keep.
#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "cache/amounts.h"
#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/update_steps.h"

namespace bw {
namespace {

constexpr std::int64_t kTokens = 256;  // of a stream
constexpr std::int64_t kSize = 4096;

class Projection {
 public:
  // [kSize] f32 of a stage's output.
  at::Tensor operator()(const Hidden& value) {
    std::vector<at::Tensor> parts;
    for (const at::Tensor& stream : value) {
      const std::int64_t stride = std::max<std::int64_t>(1, stream.size(1) / kTokens);
      parts.push_back(
          stream.slice(1, 0, stream.size(1), stride).to(at::kCPU, at::kFloat).flatten());
    }
    const at::Tensor values = at::cat(parts);
    const std::int64_t rows = (values.numel() + kSize - 1) / kSize;
    const at::Tensor padded = at::constant_pad_nd(values, {0, rows * kSize - values.numel()});
    return (padded.reshape({rows, kSize}) * signs(rows)).sum(0);
  }

 private:
  // The same for the same number of rows, in every run of the program.
  const at::Tensor& signs(std::int64_t rows) {
    at::Tensor& known = signs_[rows];
    if (!known.defined()) {
      constexpr std::uint64_t kSeed = 1;
      at::Generator generator = at::detail::createCPUGenerator(kSeed);
      known = at::randint(0, 2, {rows, kSize}, generator, at::kFloat) * 2 - 1;
    }
    return known;
  }

  std::map<std::int64_t, at::Tensor> signs_;
};

class BacCalibration final : public Calibration, private FeatureRecorder {
 public:
  explicit BacCalibration(const CalibrationTask& task)
      : layout_(task.layout),
        updates_(task.plan.clip.cache.params.at("updates").get<std::string>()) {
    parts_.stages = true;
  }

  FeatureRecorder* recorder() override { return this; }

  void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) override {
    for (auto& [at, recorded] : stages_) {
      const at::Tensor features = at::stack(recorded.features).to(at::kDouble);  // [steps, kSize]
      const at::Tensor unit = features / features.norm(2, 1, true).clamp_min(1e-12);
      const at::Tensor similarity = at::matmul(unit, unit.t());
      recorded.similarity =
          recorded.similarity.defined() ? recorded.similarity + similarity : similarity;
      recorded.loss += at::cdist(features, features).mean().item<double>();
      recorded.features.clear();
    }
    ++clips_;
  }

  CalibrationResult result() const override {
    CalibratedTable schedule;
    CalibratedTable losses;
    for (const auto& [at, recorded] : stages_) {
      const std::string& stage = layout_.experts[at.expert].blocks[at.block].stages[at.stage];
      std::string row = std::to_string(at.expert) + "." + std::to_string(at.block);
      row += "." + stage;
      schedule.add(row, steps_of(recorded));
      if (stage == "feed_forward") losses.add(row, {recorded.loss / clips_});
    }
    CalibrationResult found;
    found.params["schedule"] = schedule.text();
    found.params["losses"] = losses.text();
    found.identity["updates"] = updates_;
    return found;
  }

 private:
  struct Recorded {
    std::int64_t first = 0;            // step at which the stage's expert begins
    std::vector<at::Tensor> features;  // of the clip at hand, by step
    at::Tensor similarity;             // sum over clips, [steps, steps] f64
    double loss = 0;                   // sum over clips
  };

  const RecordedParts& parts() const override { return parts_; }

  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    if (key.slot != Slot::kStage || key.part != 0 || key.branch != Branch::kCond) return;
    Recorded& recorded = stages_[key];
    if (recorded.features.empty()) recorded.first = context.step;
    recorded.features.push_back(projection_(value));
  }

  std::vector<double> steps_of(const Recorded& recorded) const {
    const auto sums = recorded.similarity.contiguous();
    const std::int64_t steps = sums.size(0);
    std::vector<std::vector<double>> similarity;
    for (std::int64_t step = 0; step < steps; ++step) {
      const double* row = sums.const_data_ptr<double>() + step * steps;
      similarity.emplace_back(row, row + steps);
    }
    const std::int64_t wanted =
        step_count(updates_, steps, Origin::flag("--cache bac").at("updates"));
    std::vector<double> found;
    for (const std::size_t step :
         update_steps(similarity, static_cast<std::size_t>(std::min(wanted, steps)))) {
      found.push_back(static_cast<double>(recorded.first) + static_cast<double>(step));
    }
    return found;
  }

  CacheLayout layout_;
  std::string updates_;
  RecordedParts parts_;
  Projection projection_;
  std::map<CacheKey, Recorded> stages_;
  double clips_ = 0;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  const CachePlan& cache = task.plan.clip.cache;
  const Origin origin = Origin::flag("--cache bac");
  const std::int64_t updates = step_count(cache.params.at("updates").get<std::string>(),
                                          task.plan.clip.steps, origin.at("updates"));
  require_steps(task, updates, "that is how many updates a stage is to have");
  const bool has_stages = std::ranges::any_of(task.layout.experts, [](const ExpertLayout& expert) {
    return std::ranges::any_of(expert.blocks,
                               [](const BlockInfo& block) { return !block.stages.empty(); });
  });
  if (!has_stages) {
    reject(origin,
           "the model has no stage that could be reused; its blocks must be exported with stages "
           "(docs/exporting-a-family.md)");
  }
  return std::make_unique<BacCalibration>(task);
}

}  // namespace

CalibrationInfo bac_calibration() {
  return {"bac", "how alike each stage's outputs at all steps are", make};
}

}  // namespace bw
