// The runs of `tune`: uncached ones with recorded signals, candidates on clips, and how many model
// evaluations they cost. Read tune_search.h for who asks for them.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle/bundle.h"
#include "run/measured_run.h"
#include "run/progress.h"
#include "run/tune.h"
#include "run/tune_points.h"

namespace bw {

class TuneRuns {
 public:
  // All three must outlive it. Rows of an earlier, interrupted tuning are taken from setup.rows.
  TuneRuns(const Bundle& model, const TuneSetup& setup, Observer& observer);

  // Runs every clip uncached, once per kind of signal that the policy needs.
  void record();
  [[nodiscard]] std::span<const Forecaster> forecasters() const { return forecasters_; }
  // Until the point has run on the first `num_clips` clips.
  void measure_on(TunePoint& point, std::size_t num_clips);
  // Uncached seconds of denoising over cached ones: ratio of the medians of `repeat` interleaved
  // runs on the first clip.
  [[nodiscard]] double time_against_uncached(const CachePlan& cache);
  // The candidate on the clips held out.
  [[nodiscard]] TunePoint measure_held_out(const TuneCandidate& candidate);

  // Blocks computed so far; rows that were taken over count as if they had been run now.
  [[nodiscard]] double blocks() const { return static_cast<double>(blocks_); }
  // Those of the recorded runs.
  [[nodiscard]] double recorded_blocks() const { return static_cast<double>(recorded_blocks_); }
  // Of one uncached run.
  [[nodiscard]] double blocks_per_clip() const { return static_cast<double>(blocks_per_clip_); }
  // Runs that are still to come, for the progress shown.
  void expect(std::size_t runs) { planned_ = done_ + static_cast<std::int64_t>(runs); }

 private:
  struct Base {
    at::Tensor frames;
    double seconds = 0;  // of denoising, without the recording
  };

  [[nodiscard]] Plan plan_of(const CachePlan& cache, const TuneClip& clip) const;
  [[nodiscard]] RawClip run(const Plan& plan);
  [[nodiscard]] MeasuredRun run_candidate(const TuneCandidate& candidate, const TuneClip& clip,
                                          const at::Tensor& base);
  void tick(const char* what);

  const Bundle& model_;
  const TuneSetup& setup_;
  Observer& observer_;
  QuietObserver quiet_;
  MeasuredRunFile rows_;
  std::vector<Base> base_;
  std::vector<Forecaster> forecasters_;
  std::int64_t blocks_ = 0;
  std::int64_t recorded_blocks_ = 0;
  std::int64_t blocks_per_clip_ = 0;
  std::int64_t done_ = 0;
  std::int64_t planned_ = 0;
};

}  // namespace bw
