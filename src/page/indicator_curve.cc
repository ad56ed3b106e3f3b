#include "page/indicator_curve.h"

#include <algorithm>

#include "page/svg.h"
#include "page/tables.h"

namespace bw {
namespace {

std::vector<double> finite_values(const IndicatorCurve& curve) {
  std::vector<double> values;
  for (const IndicatorSeries& series : curve.series) {
    for (const IndicatorPoint& point : series.points) {
      if (point.value) values.push_back(*point.value);
    }
  }
  return values;
}

// A threshold far above all values would flatten the curve.
bool is_in_reach(double threshold, double highest) { return threshold <= 6 * highest; }

std::string tooltip(const IndicatorSeries& series, const IndicatorPoint& point) {
  return "step " + std::to_string(point.step) + ", " + series.name + ": " +
         number_text(*point.value) + ", against " + std::to_string(point.gap) +
         (point.gap == 1 ? " step" : " steps") + " before";
}

void draw_series(Plot& plot, const IndicatorSeries& series, std::size_t i) {
  std::vector<Point> points;
  for (const IndicatorPoint& point : series.points) {
    if (point.value) points.push_back({static_cast<double>(point.step), *point.value});
  }
  plot.line(points, "line " + series_class(i));
  for (const IndicatorPoint& point : series.points) {
    if (!point.value) continue;
    plot.dot({static_cast<double>(point.step), *point.value}, "dot " + series_class(i),
             tooltip(series, point));
  }
}

Table as_table(const IndicatorCurve& curve) {
  Table table{{"step", "measured on", "indicator", "compared with"}, {}};
  for (const IndicatorSeries& series : curve.series) {
    for (const IndicatorPoint& point : series.points) {
      table.rows.push_back({std::to_string(point.step), series.name,
                            point.value ? number_text(*point.value) : "not finite",
                            std::to_string(point.gap) + " steps before"});
    }
  }
  return table;
}

}  // namespace

bool has_values(const IndicatorCurve& curve) { return !finite_values(curve).empty(); }

std::string indicator_figure(const IndicatorCurve& curve) {
  using Form = LegendEntry::Form;
  const double highest = std::ranges::max(finite_values(curve));
  const bool shows_threshold = curve.threshold && is_in_reach(*curve.threshold, highest);
  const double top = std::max({highest, shows_threshold ? *curve.threshold : 0.0, 1e-9});
  const double last = std::max(1.0, static_cast<double>(curve.reused.size()) - 1);
  Plot plot("Indicator over steps", {"step", {-0.5, last + 0.5}, true},
            {"relative change since the step compared with", {0, 1.12 * top}});
  bool any_reused = false;
  for (std::size_t step = 0; step < curve.reused.size(); ++step) {
    if (!curve.reused[step]) continue;
    any_reused = true;
    const auto at = static_cast<double>(step);
    plot.band({at - 0.5, at + 0.5}, "reused-band", "step " + std::to_string(step) + ": reused");
  }
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < curve.series.size(); ++i) {
    draw_series(plot, curve.series[i], i);
    entries.push_back({Form::kDot, "dot " + series_class(i), curve.series[i].name});
  }
  if (shows_threshold) {
    plot.level(*curve.threshold, "threshold", "threshold " + number_text(*curve.threshold));
    entries.push_back({Form::kLine, "threshold", "threshold"});
  }
  if (any_reused) entries.push_back({Form::kBox, "reused-band", "all blocks reused"});
  Markup out;
  out.append(legend(entries)).append(plot.finish());
  if (curve.threshold && !shows_threshold) {
    out.element("p", "The threshold, " + number_text(*curve.threshold) +
                         ", lies far above all values and is not drawn.");
  }
  return out.append(folded_table("As a table", as_table(curve))).take();
}

}  // namespace bw
