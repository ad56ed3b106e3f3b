#include "run/tune_runs.h"

#include <algorithm>
#include <limits>

#include "run/statistics.h"

namespace bw {

TuneRuns::TuneRuns(const Bundle& model, const TuneSetup& setup, Observer& observer)
    : model_(model), setup_(setup), observer_(observer), quiet_(observer), rows_(setup.rows) {}

void TuneRuns::tick(const char* what) {
  ++done_;
  observer_.step(done_, std::max(planned_, done_), what);
}

Plan TuneRuns::plan_of(const CachePlan& cache, const TuneClip& clip) const {
  Plan plan = with_clip(setup_.base, clip.prompt, clip.seed);
  plan.clip.cache = cache;
  return plan;
}

RawClip TuneRuns::run(const Plan& plan) {
  RawClip clip = make_raw_clip(model_, plan, quiet_);
  blocks_ += clip.report.cache.totals.blocks_computed;
  return clip;
}

void TuneRuns::record() {
  const std::vector<Plan> recordings = recording_plans(setup_.base, model_.manifest());
  expect(setup_.clips.size() * recordings.size());
  for (const TuneClip& clip : setup_.clips) {
    const Plan base = with_clip(setup_.base, clip.prompt, clip.seed);
    Forecaster& forecaster = forecasters_.emplace_back(base, model_.manifest());
    double seconds = std::numeric_limits<double>::infinity();
    at::Tensor frames;
    for (const Plan& recording : recordings) {
      const RawClip raw = run(with_clip(recording, clip.prompt, clip.seed));
      const CacheTotals& totals = raw.report.cache.totals;
      forecaster.add(raw.report);
      blocks_per_clip_ = totals.blocks;
      seconds = std::min(seconds, raw.report.timings.denoise - totals.indicator_seconds);
      frames = raw.frames;
      tick("recorded");
    }
    base_.push_back({frames, seconds});
  }
  recorded_blocks_ = blocks_;
}

MeasuredRun TuneRuns::run_candidate(const TuneCandidate& candidate, const TuneClip& clip,
                                    const at::Tensor& base) {
  const Plan plan = plan_of(candidate.cache, clip);
  const std::string identity = run_identity(plan, model_.manifest().hash);
  for (const MeasuredRun& row : rows_.rows()) {
    if (row.identity == identity && row.prompt == clip.prompt && row.seed == clip.seed) {
      blocks_ += row.blocks_computed;
      return row;
    }
  }
  const RawClip raw = run(plan);
  MeasuredRun row = measure(raw, candidate.label, 0);
  add_quality(row, raw.frames, base, "");
  rows_.append({&row, 1});
  return row;
}

void TuneRuns::measure_on(TunePoint& point, std::size_t num_clips) {
  while (point.runs.size() < num_clips) {
    const std::size_t i = point.runs.size();
    point.runs.push_back(run_candidate(point.candidate, setup_.clips[i], base_[i].frames));
    point.base_seconds += base_[i].seconds;
    tick("tried");
  }
}

double TuneRuns::time_against_uncached(const CachePlan& cache) {
  const TuneClip& clip = setup_.clips.front();
  std::vector<double> uncached;
  std::vector<double> cached;
  expect(static_cast<std::size_t>(setup_.repeat));
  for (int round = 0; round < setup_.repeat; ++round) {
    uncached.push_back(run(plan_of(CachePlan(), clip)).report.timings.denoise);
    cached.push_back(run(plan_of(cache, clip)).report.timings.denoise);
    tick("timed");
  }
  return median(uncached) / median(cached);
}

TunePoint TuneRuns::measure_held_out(const TuneCandidate& candidate) {
  TunePoint point{candidate, {}, {}, {}, 0};
  expect(setup_.held_out.size());
  for (const TuneClip& clip : setup_.held_out) {
    const RawClip base = run(plan_of(CachePlan(), clip));
    point.runs.push_back(run_candidate(candidate, clip, base.frames));
    point.base_seconds += base.report.timings.denoise;
    tick("held out");
  }
  return point;
}

}  // namespace bw
