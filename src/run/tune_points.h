// What is known of one candidate of `tune`: its forecast, then its runs.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "run/measured_run.h"
#include "run/pareto.h"
#include "run/tune_forecast.h"
#include "run/tune_space.h"

namespace bw {

struct TunePoint {
  TuneCandidate candidate;
  Forecast forecast;              // mean over the clips; the decisions of all, one after another
  std::vector<double> errors;     // Forecast::error of every clip
  std::vector<MeasuredRun> runs;  // of the first clips, in their order
  double base_seconds = 0;        // denoising of the same clips, uncached

  [[nodiscard]] double computed_fraction() const;  // measured
  [[nodiscard]] double speedup() const;            // measured, of denoising
  // Means over the clips; "psnr" is that of the clips' mean squared error, which is never above the
  // mean of their PSNR and does not take a clip without any reuse for 100 dB.
  [[nodiscard]] std::map<std::string, double> quality() const;
  [[nodiscard]] TradeOff trade_off() const;  // measured: computed fraction, −PSNR
  [[nodiscard]] Json to_json() const;
};

// What every point would come to on all clips: the computed fraction of its forecast, and −PSNR.
// The PSNR of the clips that it ran on is carried over to the others by the ratio of the forecast
// squared errors; a point without runs, or none of whose runs reused anything, takes the level
// that the others have in common.
[[nodiscard]] std::vector<TradeOff> estimates(std::span<const TunePoint> points);

// PSNR of the mean of squared errors, given PSNRs in dB.
[[nodiscard]] double pooled_psnr(std::span<const double> psnrs);

// One point per set of decisions: of candidates that decide alike on all clips the first.
[[nodiscard]] std::vector<TunePoint> distinct_points(const std::vector<TuneCandidate>& candidates,
                                                     std::span<const Forecaster> clips);

// psnr ≈ a + b · log10(error), least squares over measured points; falls back to b = −20.
class QualityForecast {
 public:
  explicit QualityForecast(std::span<const TunePoint> measured);
  [[nodiscard]] double psnr(const Forecast& forecast) const;

 private:
  double a_ = 0;
  double b_ = -20;
};

}  // namespace bw
