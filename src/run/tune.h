// Searches the settings of a cache policy for the best trade of time against quality.
//
// Every clip is run once uncached, with its signals recorded. From the record each candidate is
// forecast (tune_forecast.h); duplicates fall out. The promising ones are run on the first clips,
// the better half of them, by Pareto layers, on more, and so on (successive halving, Jamieson and
// Talwalkar, arXiv 1502.07943) until the rest have run on all. A target picks one of these, and is
// checked by timing it against the uncached run; prompts that were held out say what to expect
// elsewhere. Read tune_space.h for the candidates, tune_points.h for what is known of one.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/tune_space.h"

namespace bw {

struct TuneClip {
  std::string prompt;
  std::int64_t seed = 0;
};

// At most one of the two; neither: the front alone is looked for.
struct TuneTarget {
  std::optional<double> speedup;          // of denoising, at least
  std::map<std::string, double> quality;  // metric -> its worst acceptable value over the clips

  [[nodiscard]] bool is_set() const { return speedup || !quality.empty(); }
};

struct TuneSetup {
  Plan base;  // its cache names the policy and what is fixed: parameters, guards
  std::vector<TuneAxis> axes;
  std::vector<TuneClip> clips;     // tuned on
  std::vector<TuneClip> held_out;  // of other prompts; may be empty
  TuneTarget target;
  // Of the model evaluations that running every candidate on every clip costs; 1 runs them all.
  double share = 0.25;
  int repeat = 3;              // rounds that time the choice
  std::filesystem::path rows;  // see MeasuredRunFile; empty: not kept
};

// {"kind": "bwcache-gen tune", "complete", "target", "points": […], "chosen": {…} | null,
//  "best_reachable", "held_out", "evaluations", …}; docs/tuning.md describes it. Interrupted, it
// returns what is known with "complete": false.
[[nodiscard]] Json tune(const Bundle& model, const TuneSetup& setup, Observer& observer);

// The front and the choice for a terminal.
[[nodiscard]] std::string tune_table(const Json& result);

// A config that sets what was chosen, with where it comes from under "provenance". Throws GateError
// when nothing was.
[[nodiscard]] Json tuned_config(const Json& result);

}  // namespace bw
