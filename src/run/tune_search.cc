#include "run/tune_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "quality/metric.h"

namespace bw {
namespace {

constexpr std::size_t kAutoValues = 8;
constexpr int kTriesPerTarget = 6;
constexpr std::size_t kFewest = 8;     // settings that may always be run
constexpr std::size_t kMoreClips = 3;  // a round has this many times the clips of the one before
constexpr double kSurvivors = 0.5;     // share of the points that come into the next
constexpr double kLowest = -std::numeric_limits<double>::infinity();

double psnr_of(const TunePoint& point) { return point.quality().at("psnr"); }

std::size_t survivor_count(std::size_t alive) {
  return static_cast<std::size_t>(std::ceil(kSurvivors * static_cast<double>(alive)));
}

bool holds(const std::string& metric, double limit, double value) {
  const Better better = find_metric(metric, Origin::flag("--min")).better;
  return badness(better, value) <= badness(better, limit);
}

}  // namespace

void TuneSearch::forecast() {
  const CachePlan& cache = setup_.base.clip.cache;
  std::vector<TuneAxis> axes = setup_.axes;
  for (TuneAxis& axis : axes) {
    if (!axis.is_auto) continue;
    // One clip speaks for all; the race corrects what it gets wrong.
    const Forecaster& clip = runs_.forecasters()[runs_.forecasters().size() / 2];
    for (const double value : clip.spread_thresholds(cache, axis.param, kAutoValues)) {
      axis.values.emplace_back(value);
    }
    if (axis.values.empty()) {
      throw GateError("no value of " + axis.param + " makes '" + cache.policy +
                      "' reuse anything in this run; take more steps or another policy");
    }
  }
  const std::vector<TuneCandidate> candidates = tune_candidates(axes, cache);
  num_candidates_ = candidates.size();
  points_ = distinct_points(candidates, runs_.forecasters());
}

double TuneSearch::grid_blocks() const {
  double fraction = 0;
  for (const TunePoint& point : points_) fraction += point.forecast.computed_fraction;
  // A duplicate would compute what its like does.
  const double mean = points_.empty() ? 1 : fraction / static_cast<double>(points_.size());
  return mean * runs_.blocks_per_clip() *
         static_cast<double>(setup_.clips.size() * num_candidates_);
}

std::vector<std::size_t> TuneSearch::rounds() const {
  if (setup_.share >= 1) return {setup_.clips.size()};  // everything, without a race
  std::vector<std::size_t> sizes = {1};
  while (sizes.back() < setup_.clips.size()) {
    sizes.push_back(std::min(kMoreClips * sizes.back(), setup_.clips.size()));
  }
  return sizes;
}

// The share of the grid, but never less than what a few settings cost on all clips.
double TuneSearch::allowed_blocks() const {
  const double per_point = grid_blocks() / static_cast<double>(num_candidates_);
  const double fewest =
      runs_.recorded_blocks() + per_point * static_cast<double>(std::min(points_.size(), kFewest));
  return std::max(setup_.share * grid_blocks(), fewest) - runs_.blocks();
}

std::size_t TuneSearch::first_round_size(std::span<const std::size_t> rounds) const {
  const double per_run = grid_blocks() / static_cast<double>(num_candidates_ * setup_.clips.size());
  std::size_t size = points_.size();
  for (; size > 2 && setup_.share < 1; --size) {
    std::size_t num_runs = 0;
    std::size_t alive = size;
    std::size_t before = 0;
    for (const std::size_t clips : rounds) {
      num_runs += alive * (clips - before);
      before = clips;
      alive = survivor_count(alive);
    }
    if (static_cast<double>(num_runs) * per_run <= allowed_blocks()) break;
  }
  return size;
}

std::vector<std::size_t> TuneSearch::survivors(std::span<const std::size_t> alive) const {
  const std::vector<TradeOff> all = estimates(points_);
  std::vector<TradeOff> now;
  for (const std::size_t i : alive) now.push_back(all[i]);
  std::vector<std::size_t> better;
  for (const std::size_t i : choose_by_layer(now, survivor_count(alive.size()))) {
    better.push_back(alive[i]);
  }
  return better;
}

void TuneSearch::race() {
  const std::vector<std::size_t> sizes = rounds();
  std::vector<TradeOff> forecasts;
  for (const TunePoint& point : points_) {
    // Not by time, which differs from run to run: a tuning that goes on must come to the same runs.
    forecasts.push_back({point.forecast.computed_fraction, point.forecast.error});
  }
  std::vector<std::size_t> alive = choose_by_layer(forecasts, first_round_size(sizes));
  std::size_t before = 0;
  for (const std::size_t clips : sizes) {
    if (before > 0) alive = survivors(alive);
    runs_.expect(alive.size() * (clips - before));
    for (const std::size_t i : alive) runs_.measure_on(points_[i], clips);
    before = clips;
  }
  if (setup_.share < 1) spend_the_rest();
}

void TuneSearch::spend_the_rest() {
  while (true) {
    const std::vector<TradeOff> all = estimates(points_);
    const std::vector<std::size_t> layers = pareto_layers(all);
    std::size_t best = points_.size();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (points_[i].runs.size() == setup_.clips.size()) continue;
      if (best == points_.size() || layers[i] < layers[best]) best = i;
    }
    if (best == points_.size()) return;
    const std::size_t left = setup_.clips.size() - points_[best].runs.size();
    const double cost = points_[best].forecast.computed_fraction * runs_.blocks_per_clip() *
                        static_cast<double>(left);
    if (cost > allowed_blocks()) return;
    runs_.expect(left);
    runs_.measure_on(points_[best], setup_.clips.size());
  }
}

std::vector<std::size_t> TuneSearch::finalists() const {
  std::vector<std::size_t> whole;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    if (points_[i].runs.size() == setup_.clips.size()) whole.push_back(i);
  }
  return whole;
}

bool TuneSearch::reaches_target(const TunePoint& point) const {
  if (setup_.target.speedup) return point.speedup() >= *setup_.target.speedup;
  const std::map<std::string, double> quality = point.quality();
  return std::all_of(
      setup_.target.quality.begin(), setup_.target.quality.end(),
      [&](const auto& limit) { return holds(limit.first, limit.second, quality.at(limit.first)); });
}

double TuneSearch::merit(const TunePoint& point) const {
  return setup_.target.speedup ? psnr_of(point) : -point.computed_fraction();
}

TunePoint* TuneSearch::most_promising() {
  std::vector<TunePoint> measured;
  double ratio = 0;
  double known = kLowest;
  for (const std::size_t i : finalists()) {
    measured.push_back(points_[i]);
    ratio += points_[i].speedup() / points_[i].forecast.speedup;
    if (reaches_target(points_[i])) known = std::max(known, merit(points_[i]));
  }
  if (measured.empty()) return nullptr;
  ratio /= static_cast<double>(measured.size());
  const QualityForecast rule(measured);
  const auto floor = setup_.target.quality.find("psnr");
  TunePoint* best = nullptr;
  for (TunePoint& point : points_) {
    if (point.runs.size() == setup_.clips.size()) continue;
    const double psnr = rule.psnr(point.forecast);
    const bool promises = setup_.target.speedup
                              ? ratio * point.forecast.speedup >= *setup_.target.speedup
                              : floor == setup_.target.quality.end() || psnr >= floor->second;
    const double value = setup_.target.speedup ? psnr : -point.forecast.computed_fraction;
    if (!promises || value <= known) continue;
    known = value;
    best = &point;
  }
  return best;
}

void TuneSearch::refine() {
  if (!setup_.target.is_set()) return;
  for (int tries = 0; tries < kTriesPerTarget; ++tries) {
    TunePoint* point = most_promising();
    if (point == nullptr) return;
    runs_.expect(setup_.clips.size() - point->runs.size());
    runs_.measure_on(*point, setup_.clips.size());
  }
}

void TuneSearch::choose() {
  if (!setup_.target.is_set()) return;
  std::vector<std::size_t> order;
  for (const std::size_t i : finalists()) {
    if (reaches_target(points_[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return merit(points_[a]) > merit(points_[b]); });
  for (const std::size_t i : order) {
    const double speedup = runs_.time_against_uncached(points_[i].candidate.cache);
    if (setup_.target.speedup && speedup < *setup_.target.speedup) continue;
    chosen_ = i;
    chosen_speedup_ = speedup;
    return;
  }
}

}  // namespace bw
