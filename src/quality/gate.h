// Limits on what compare() measured (compare.h), from flags or a file, and which of them did not
// hold. Read junit.h for the report that CI systems take.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "quality/compare.h"

namespace bw {

struct Gate {
  std::string metric;
  std::string statistic;           // "mean" | "worst" | "p10"
  std::optional<double> min, max;  // at least one; the limits themselves hold
};

struct GateViolation {
  Gate gate;
  double value = 0;
  std::string message;  // one line: clip, metric, statistic, value, limit, frame
};

// The value that a gate's statistic names.
[[nodiscard]] double statistic_of(const MetricResult& result, const std::string& statistic);

// {"psnr": {"mean": {"min": 30}, "p10": {"min": 25}}, "flicker_ratio": {"mean": {"max": 1.05}}}
// Throws (see reject) naming the path: unknown metrics and statistics with the nearest known one,
// a gate without a limit, a lowest value above the highest, no gate at all.
[[nodiscard]] std::vector<Gate> gates_from_json(const Json& json, const Origin& origin);

// Appends the metrics that gates speak of and `chosen` lacks.
void add_gated_metrics(std::vector<MetricInfo>& chosen, std::span<const Gate> gates);

// Every gate must speak of one of the results. `clip` names them in the messages. NaN violates.
[[nodiscard]] std::vector<GateViolation> check_gates(std::span<const Gate> gates,
                                                     std::span<const MetricResult> results,
                                                     const std::string& clip);

// "psnr mean >= 30", "flicker_ratio mean in [0.95, 1.05]"
[[nodiscard]] std::string describe(const Gate& gate);

}  // namespace bw
