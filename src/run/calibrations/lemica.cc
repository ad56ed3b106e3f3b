// The errors of LeMiCa: for every stretch of at most max_lag − 1 steps the clip is run once with
// the stack reused there alone; E = |x − x'|₁ / |x|₁ of the final latents, mean over clips. To
// compute every step (lag 1) has no error.
#include <ATen/ATen.h>

#include <algorithm>

#include "run/calibration.h"
#include "run/calibration_means.h"
#include "run/feature_distance.h"

namespace bw {
namespace {

// The steps after `from` up to the one before `to`, reused.
CachePlan stretch(std::int64_t from, std::int64_t to) {
  const Origin origin = Origin::flag("--cache static");
  CachePlan cache;
  cache.policy = "static";
  cache.params = find_cache_policy(cache.policy, origin)
                     .resolve({{"steps", std::to_string(from + 1) + "-" + std::to_string(to - 1)},
                               {"rebuild", "residual"}},
                              origin);
  return cache;
}

class LemicaCalibration final : public Calibration {
 public:
  LemicaCalibration(std::int64_t steps, std::int64_t max_lag) : steps_(steps), max_lag_(max_lag) {
    for (std::int64_t lag = 1; lag <= max_lag; ++lag) {
      errors_.declare(std::to_string(lag), static_cast<std::size_t>(num_edges(lag)));
    }
  }

  std::int64_t num_reruns() const override {
    std::int64_t runs = 0;
    for (std::int64_t lag = 2; lag <= max_lag_; ++lag) runs += num_edges(lag);
    return runs;
  }

  void finish_clip(const at::Tensor& latents, const Rerun& rerun) override {
    for (std::int64_t lag = 1; lag <= max_lag_; ++lag) {
      for (std::int64_t from = 0; from < num_edges(lag); ++from) {
        const double error =
            lag == 1 ? 0 : relative_l1({rerun(stretch(from, from + lag))}, {latents});
        errors_.add(std::to_string(lag), static_cast<std::size_t>(from), error);
      }
    }
  }

  CalibrationResult result() const override {
    CalibrationResult found;
    found.params["errors"] = errors_.table().text();
    return found;
  }

 private:
  std::int64_t num_edges(std::int64_t lag) const {
    return std::max<std::int64_t>(0, steps_ + 1 - lag);
  }

  std::int64_t steps_;
  std::int64_t max_lag_;
  MeanTable errors_;
};

std::unique_ptr<Calibration> make(const CalibrationTask& task) {
  require_steps(task, 2, "with one step there is nothing to reuse");
  const auto max_lag = task.plan.clip.cache.params.at("max_lag").get<std::int64_t>();
  return std::make_unique<LemicaCalibration>(task.plan.clip.steps, max_lag);
}

}  // namespace

CalibrationInfo lemica_calibration() {
  return {"lemica", "error of the result when a single stretch of steps is reused", make};
}

}  // namespace bw
