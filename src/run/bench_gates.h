// What a result of bench must keep to: limits of its own, or those of an earlier result.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace bw {

// {"*" or an arm's name: {"<path>": {"min": x, "max": y}}}; a path names a number of an arm
// (bench_summary.h), e.g. "speedup.denoise", "share.rebuild", "quality.psnr",
// "seconds.step.median", "computed_fraction", "cache_bytes". "*" holds for every arm but the first,
// which is the yardstick. Returns a line per violated limit; NaN violates. Rejects unknown arms and
// paths with the nearest known one, and limits without a number.
[[nodiscard]] std::vector<std::string> check_limits(const Json& summary, const Json& limits,
                                                    const Origin& origin);

struct BaselineTolerance {
  double slower = 0.1;  // share of the earlier seconds, or of the earlier speed-up
  double computed_fraction = 0.02;
  double psnr = 0.5;     // dB below the earlier quality
  double memory = 0.05;  // share of the earlier bytes
};

struct BaselineResult {
  std::vector<std::string> violations;
  bool same_machine = false;  // seconds and resident memory were compared; else speed-ups alone
};

// Compares arms of one name. Throws InputError naming the differences when a plan or the bundle is
// another, or an arm of the baseline is missing.
[[nodiscard]] BaselineResult check_baseline(const Json& summary, const Json& baseline,
                                            const BaselineTolerance& tolerance,
                                            const Origin& origin);

}  // namespace bw
