// Times plans against each other on one loaded model: interleaved runs, medians, and the quality at
// that speed. Read generate.h for the run that is timed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/plan.h"
#include "run/progress.h"

namespace bw {

struct BenchArm {
  std::string name;
  Plan plan;
};

struct BenchSetup {
  std::vector<BenchArm> arms;         // quality is measured against the first
  std::optional<BenchArm> reference;  // untimed; a second yardstick, e.g. a converged solution
  std::vector<std::string> prompts;   // every arm runs on each
  int warmup = 1;                     // runs of every arm that are not counted
  int repeat = 5;
};

// Runs A B C A B C … per prompt; throws InputError when the arms need different models.
// Per arm: median, lowest and highest seconds of every stage, share of blocks computed, cache
// bytes, speed-up over the first arm (ratio of medians), PSNR and SSIM of the raw frames against
// the first arm and the reference.
[[nodiscard]] Json bench(const Bundle& model, const BenchSetup& setup, Observer& observer);

// The same as a table for a terminal.
[[nodiscard]] std::string bench_table(const Json& result);

}  // namespace bw
