#include "run/tune_points.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "run/statistics.h"

namespace bw {
namespace {

constexpr double kFlattest = -5;  // dB per tenfold error

double sum_of(std::span<const MeasuredRun> runs, double (*value)(const MeasuredRun&)) {
  double sum = 0;
  for (const MeasuredRun& run : runs) sum += value(run);
  return sum;
}

double mean_square(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Forecast mean_forecast(const TuneCandidate& candidate, std::span<const Forecaster> clips,
                       std::vector<double>& errors) {
  Forecast mean{0, 0, 0, ""};
  for (const Forecaster& clip : clips) {
    const Forecast one = clip.forecast(candidate.cache);
    mean.computed_fraction += one.computed_fraction / static_cast<double>(clips.size());
    mean.speedup += 1 / one.speedup / static_cast<double>(clips.size());
    mean.error += one.error / static_cast<double>(clips.size());
    errors.push_back(one.error);
    mean.decisions += one.decisions;
  }
  mean.speedup = 1 / mean.speedup;  // times add up, ratios do not
  return mean;
}

}  // namespace

double pooled_psnr(std::span<const double> psnrs) {
  double error = 0;
  for (const double psnr : psnrs) error += std::pow(10.0, -psnr / 10);
  return -10 * std::log10(error / static_cast<double>(psnrs.size()));
}

double TunePoint::computed_fraction() const {
  return sum_of(runs, [](const MeasuredRun& run) { return run.computed_fraction; }) /
         static_cast<double>(runs.size());
}

double TunePoint::speedup() const {
  return base_seconds /
         sum_of(runs, [](const MeasuredRun& run) { return run.seconds.at("denoise"); });
}

std::map<std::string, double> TunePoint::quality() const {
  std::map<std::string, std::vector<double>> values;
  for (const MeasuredRun& run : runs) {
    for (const auto& [name, value] : run.quality) {
      if (!name.ends_with("_worst")) values[name].push_back(value);
    }
  }
  std::map<std::string, double> means;
  for (const auto& [name, list] : values) {
    double sum = 0;
    for (const double value : list) sum += value;
    means[name] = name == "psnr" ? pooled_psnr(list) : sum / static_cast<double>(list.size());
  }
  return means;
}

TradeOff TunePoint::trade_off() const { return {computed_fraction(), -quality().at("psnr")}; }

Json TunePoint::to_json() const {
  Json json = {{"label", candidate.label},
               {"cache", candidate.cache.params},
               {"forecast",
                {{"speedup", forecast.speedup},
                 {"computed_fraction", forecast.computed_fraction},
                 {"error", forecast.error}}},
               {"clips", runs.size()},
               {"measured", !runs.empty()}};
  if (runs.empty()) return json;
  json["speedup"] = speedup();
  json["computed_fraction"] = computed_fraction();
  json["quality"] = quality();
  return json;
}

std::vector<TunePoint> distinct_points(const std::vector<TuneCandidate>& candidates,
                                       std::span<const Forecaster> clips) {
  std::vector<TunePoint> points;
  std::set<std::string> seen;
  for (const TuneCandidate& candidate : candidates) {
    std::vector<double> errors;
    Forecast forecast = mean_forecast(candidate, clips, errors);
    if (forecast.computed_fraction >= 1) continue;  // reuses nothing anywhere
    if (!seen.insert(forecast.decisions).second) continue;
    points.push_back({candidate, std::move(forecast), std::move(errors), {}, 0});
  }
  return points;
}

std::vector<TradeOff> estimates(std::span<const TunePoint> points) {
  // psnr + 10·log10(forecast squared error) of the clips measured: alike for all if forecasts are.
  std::vector<double> levels;
  for (const TunePoint& point : points) {
    const double squared = mean_square(std::span(point.errors).first(point.runs.size()));
    if (squared > 0) levels.push_back(point.quality().at("psnr") + 10 * std::log10(squared));
  }
  const double common = levels.empty() ? 0 : median(levels);
  std::vector<TradeOff> all;
  for (const TunePoint& point : points) {
    const double squared = mean_square(std::span(point.errors).first(point.runs.size()));
    const double level =
        squared > 0 ? point.quality().at("psnr") + 10 * std::log10(squared) : common;
    const double psnr = level - 10 * std::log10(std::max(mean_square(point.errors), 1e-12));
    all.push_back({point.forecast.computed_fraction, -psnr});
  }
  return all;
}

QualityForecast::QualityForecast(std::span<const TunePoint> measured) {
  double n = 0;
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (const TunePoint& point : measured) {
    if (point.runs.empty() || !(point.forecast.error > 0)) continue;
    const double x = std::log10(point.forecast.error);
    const double y = point.quality().at("psnr");
    n += 1;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  if (n == 0) return;
  const double spread = n * sxx - sx * sx;
  // A few noisy points must not turn the rule around.
  if (n > 2 && spread > 1e-9) b_ = std::min((n * sxy - sx * sy) / spread, kFlattest);
  a_ = (sy - b_ * sx) / n;
}

double QualityForecast::psnr(const Forecast& forecast) const {
  return a_ + b_ * std::log10(std::max(forecast.error, 1e-9));
}

}  // namespace bw
