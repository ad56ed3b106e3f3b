// The search of `tune` over what its runs tell: forecasts, successive halving, the choice for a
// target. Read tune.h for the whole and tune_runs.h for the runs.
#pragma once

#include <optional>
#include <vector>

#include "run/tune_runs.h"

namespace bw {

class TuneSearch {
 public:
  TuneSearch(const TuneSetup& setup, TuneRuns& runs) : setup_(setup), runs_(runs) {}

  // Candidates from the recorded clips; throws GateError when `auto` finds no value that reuses.
  void forecast();
  // Successive halving within the share of the grid's evaluations; what is left of them goes to the
  // points that are estimated to be best among those that dropped out.
  void race();
  // Runs, on all clips, what the forecasts corrected by the measured put on the good side of the
  // target and better than what is known, a few at most.
  void refine();
  // Takes the best point that reaches the target, also when timed.
  void choose();

  [[nodiscard]] const std::vector<TunePoint>& points() const { return points_; }
  // Indices of the points that ran on every clip.
  [[nodiscard]] std::vector<std::size_t> finalists() const;
  [[nodiscard]] bool reaches_target(const TunePoint& point) const;
  [[nodiscard]] std::optional<std::size_t> chosen() const { return chosen_; }
  [[nodiscard]] double chosen_speedup() const { return chosen_speedup_; }
  [[nodiscard]] std::size_t num_candidates() const { return num_candidates_; }
  // Blocks that running every candidate on every clip would compute, by the forecasts.
  [[nodiscard]] double grid_blocks() const;

 private:
  [[nodiscard]] std::vector<std::size_t> rounds() const;
  [[nodiscard]] std::size_t first_round_size(std::span<const std::size_t> rounds) const;
  [[nodiscard]] double allowed_blocks() const;
  // The better part of `alive` by estimate; at least one.
  [[nodiscard]] std::vector<std::size_t> survivors(std::span<const std::size_t> alive) const;
  void spend_the_rest();
  [[nodiscard]] TunePoint* most_promising();
  // What the target leaves to be made as large as possible.
  [[nodiscard]] double merit(const TunePoint& point) const;

  const TuneSetup& setup_;
  TuneRuns& runs_;
  std::vector<TunePoint> points_;
  std::size_t num_candidates_ = 0;
  std::optional<std::size_t> chosen_;
  double chosen_speedup_ = 0;
};

}  // namespace bw
