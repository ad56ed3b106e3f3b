// What measured runs gave, a row each, and the file that keeps them so that an interrupted
// measurement goes on where it stopped. Used by bench and tune.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/plan.h"
#include "run/raw_clip.h"

namespace bw {

struct MeasuredRun {
  std::string identity;  // of everything but prompt and seed, see run_identity
  std::string arm;
  std::string prompt;
  std::int64_t seed = 0;
  int round = 0;
  std::map<std::string, double> seconds;  // by stage
  std::int64_t blocks_computed = 0;
  double computed_fraction = 1;
  std::uint64_t cache_bytes = 0;
  std::uint64_t peak_bytes = 0;           // resident memory of the process during the run
  std::map<std::string, double> quality;  // metric -> mean over frames; metric_worst -> worst frame
};

[[nodiscard]] Json to_json(const MeasuredRun& run);
[[nodiscard]] MeasuredRun measured_run_from_json(const Json& json, const Origin& origin);

// 16 digits that agree for runs on the same machine, with the same versions, bundle and plan but
// for prompt, seed and output.
[[nodiscard]] std::string run_identity(const Plan& plan, const std::string& bundle_hash);

// A row without quality. `encode_seconds`: of encoding the clip, 0 when it was not encoded.
[[nodiscard]] MeasuredRun measure(const RawClip& clip, const std::string& arm,
                                  double encode_seconds);

// Adds each metric's mean and worst frame of `frames` against `reference`, under its name and
// `suffix`.
void add_quality(MeasuredRun& run, const at::Tensor& frames, const at::Tensor& reference,
                 const std::string& suffix);

// One JSON object per line. What a kill left of a last line is cut off.
class MeasuredRunFile {
 public:
  // An empty path keeps rows in memory alone. Throws InputError naming a broken line, OutputError
  // when the file cannot be written.
  explicit MeasuredRunFile(const std::filesystem::path& file);

  [[nodiscard]] std::span<const MeasuredRun> rows() const { return rows_; }
  void append(std::span<const MeasuredRun> rows);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::vector<MeasuredRun> rows_;
};

}  // namespace bw
