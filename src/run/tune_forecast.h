// What a setting would cost and lose, told from one uncached run whose signals were recorded: its
// decisions by rehearsal (cache/rehearse.h), its time from the stages' measured times, its error
// from how far the features moved since they were computed. Good for ranking; what counts is
// measured (run/tune.h).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "bundle/manifest.h"
#include "cache/rehearse.h"
#include "run/plan.h"
#include "run/report.h"

namespace bw {

struct Forecast {
  double computed_fraction = 1;
  double speedup = 1;  // of denoising
  // Σ over evaluations of |Δσ| · (relative change of the last block's output since it was last
  // computed) · (share of the blocks reused), both branches weighted as guidance weights them: the
  // first-order error of an Euler step that takes the old prediction. In units of its own.
  double error = 0;
  // Equal texts: the same blocks are computed at the same steps, and rebuilt by the same rule.
  std::string decisions;
};

class Forecaster {
 public:
  // `plan`: of the recorded clip, of any cache. The manifest must outlive the forecaster.
  Forecaster(const Plan& plan, const Manifest& manifest);

  // A run of the clip under one of recording_plans().
  void add(const Report& uncached);
  [[nodiscard]] Forecast forecast(const CachePlan& cache) const;
  // `count` values at most of the number `param`, from recorded distances, that compute different
  // shares of the blocks, spread evenly over those shares. Throws UsageError when the policy
  // measures nothing.
  [[nodiscard]] std::vector<double> spread_thresholds(const CachePlan& cache,
                                                      const std::string& param,
                                                      std::size_t count) const;

 private:
  [[nodiscard]] std::set<double> recorded_changes(const CachePlan& cache) const;
  [[nodiscard]] double saved_seconds(const CacheTotals& totals) const;
  [[nodiscard]] double error_of(const CacheReport& rehearsed) const;

  Plan plan_;
  const Manifest& manifest_;
  CacheLayout layout_;
  SignalRecord record_;
  std::vector<FeatureLevels> levels_;
  CacheTotals uncached_;
  double uncached_seconds_ = 0;  // of denoising, without the recording
};

// `base` with caches that measure and reuse nothing: first the outputs of all blocks, which the
// error is told from, then what else its own policy goes by.
[[nodiscard]] std::vector<Plan> recording_plans(const Plan& base, const Manifest& manifest);

}  // namespace bw
