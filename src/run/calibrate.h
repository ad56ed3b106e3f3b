// Measures the table that a policy needs (cache/calibrated_table.h): runs clips uncached, shows
// their features to the policy's own analysis, and makes a config that runs with what was found.
// Read calibration.h for what an analysis is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/calibration.h"
#include "run/progress.h"

namespace bw {

struct CalibrationClip {
  std::string prompt;
  std::int64_t seed = 0;
};

struct CalibrateSetup {
  Plan base;  // its cache names the policy and its other parameters
  std::vector<CalibrationClip> clips;
};

// The analysis of the plan's policy. Needs no weights; rejects a policy without one, naming those
// that have one, and a run that cannot be calibrated.
[[nodiscard]] std::unique_ptr<Calibration> make_calibration(const Plan& plan,
                                                            const Manifest& manifest);

struct Calibrated {
  Json config;        // for --config: the run, the cache with its table, where that comes from
  std::string table;  // for a terminal
};

// Throws Interrupted when the observer asks to stop.
[[nodiscard]] Calibrated calibrate(const Bundle& model, const CalibrateSetup& setup,
                                   Calibration& calibration, Observer& observer);

}  // namespace bw
