// What a page draws of one run, taken from its report or from the metadata of its video. Read
// cache/cache_trace.h for the decisions in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "page/indicator_curve.h"
#include "page/stage_times.h"
#include "page/step_map.h"

namespace bw {

// Of a report; the metadata of a video has none.
struct RunMeasurements {
  std::vector<StageTime> stages;
  std::vector<double> steps;  // seconds
  double denoise = 0;         // seconds
  std::uint64_t peak_memory_bytes = 0;
  std::uint64_t cache_bytes = 0;
};

struct RunFigures {
  std::string name;  // of the file
  std::string prompt;
  std::int64_t seed = 0;
  std::int64_t num_steps = 0;
  std::string policy;
  Json plan;
  Json sources;      // name in the plan -> where it came from; {} when not known
  Json environment;  // {} when not known
  Json bundle;
  std::vector<StepMap> maps;  // one per guidance branch that took part
  IndicatorCurve indicator;
  std::vector<bool> reused;  // per step: all blocks of all branches
  std::optional<RunMeasurements> measured;
  std::filesystem::path video;    // as the run named it
  std::uint64_t video_bytes = 0;  // 0: not known
};

// Throws InputError naming the file and the JSON path.
[[nodiscard]] RunFigures read_run_figures(const Json& result, const std::filesystem::path& file);

// Share of the blocks in the maps that was reused, 0 … 1; of a block with reused stages their
// share.
[[nodiscard]] double reused_share(const std::vector<StepMap>& maps);

}  // namespace bw
