// What the cache's policy measured at every step, beside its threshold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bw {

struct IndicatorPoint {
  std::int64_t step = 0;
  std::optional<double> value;  // absent: not a finite number
  std::int64_t gap = 0;         // steps since the step compared with
};

struct IndicatorSeries {
  std::string name;
  std::vector<IndicatorPoint> points;
};

struct IndicatorCurve {
  std::vector<IndicatorSeries> series;
  std::optional<double> threshold;
  std::vector<bool> reused;  // per step: nothing was computed
};

// Whether there is a finite value to draw.
[[nodiscard]] bool has_values(const IndicatorCurve& curve);
// Dots of class "series-i", a line "threshold" and a band "reused-band" per reused step. Needs a
// value.
[[nodiscard]] std::string indicator_figure(const IndicatorCurve& curve);

}  // namespace bw
