// Times plans against each other on one loaded model: interleaved runs, medians, and the quality at
// that speed. Read raw_clip.h for the run that is timed, measured_run.h for its row,
// bench_summary.h for what is made of the rows.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/measured_run.h"
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
  std::vector<std::string> prompts;   // every arm runs on each,
  std::vector<std::int64_t> seeds;    // with each of these
  int warmup = 1;                     // runs of every arm that are not counted
  int repeat = 5;
  std::filesystem::path rows;     // see MeasuredRunFile; a clip whose rows are all there is skipped
  std::filesystem::path latents;  // folder for the final latents of every arm and of the reference,
                                  // which are taken from there when they exist; empty: not kept
};

// Throws UsageError when two arms share a name or need different models.
void check_one_model(const BenchSetup& setup);

// Runs A B C A B C … per prompt and seed. The arms have passed check_one_model().
[[nodiscard]] std::vector<MeasuredRun> bench(const Bundle& model, const BenchSetup& setup,
                                             Observer& observer);

}  // namespace bw
