// What the calibration of one policy is: it sees uncached runs, may ask for cached ones, and gives
// the policy's table. Each is a file calibrations/<policy>.cc and a row of calibrations.inc. Read
// calibrate.h for the command around it and calibrations/magcache.cc for the smallest one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache_controller.h"
#include "cache/feature_recorder.h"
#include "cache/policy_table.h"
#include "run/plan.h"

namespace bw {

// What is known before the model is loaded.
struct CalibrationTask {
  Plan plan;  // its cache has the policy's resolved parameters; its table is ignored
  CacheLayout layout;
};

struct CalibrationResult {
  Json params = Json::object();  // parameters of the policy, which replace those of the plan
  // What the table depends on beside the run, such as a parameter that only the calibration reads;
  // goes into made_for.
  RunIdentity identity = {};
  std::vector<std::string> notes = {};  // lines for the user
};

class Calibration {
 public:
  // Runs the clip at hand once more under this cache; its latents [1,C,F,H,W] f32.
  using Rerun = std::function<at::Tensor(const CachePlan& cache)>;

  virtual ~Calibration() = default;
  // Is shown the uncached run of every clip; null where the results of runs are enough.
  [[nodiscard]] virtual FeatureRecorder* recorder() { return nullptr; }
  // How often finish_clip runs a clip anew.
  [[nodiscard]] virtual std::int64_t num_reruns() const { return 0; }
  // A clip was run uncached, with this result.
  virtual void finish_clip(const at::Tensor& /*latents*/, const Rerun& /*rerun*/) {}
  // Over all clips, at least one.
  [[nodiscard]] virtual CalibrationResult result() const = 0;
};

struct CalibrationInfo {
  std::string_view policy;
  std::string_view measures;  // what, in a line
  // Rejects through the flag at fault a run that it cannot calibrate.
  std::unique_ptr<Calibration> (*make)(const CalibrationTask& task) = nullptr;
};

[[nodiscard]] std::span<const CalibrationInfo> calibrations();

// Rejects --steps when it is less than `least`; `why` completes "… needs at least N steps: ".
void require_steps(const CalibrationTask& task, std::int64_t least, const std::string& why);

}  // namespace bw
