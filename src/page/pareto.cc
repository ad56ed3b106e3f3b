#include "page/pareto.h"

#include <algorithm>
#include <cctype>

#include "base/check.h"
#include "page/svg.h"

namespace bw {
namespace {

std::string metric_name(const ParetoPlot& plot) {
  std::string name = plot.metric;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  if (!plot.unit.empty()) name += " in " + plot.unit;
  return name + " (" + plot.direction + ")";
}

std::vector<std::string> series_names(const ParetoPlot& plot) {
  std::vector<std::string> names;
  for (const ParetoPoint& point : plot.points) {
    if (std::ranges::find(names, point.series) == names.end()) names.push_back(point.series);
  }
  return names;
}

std::string dot_class(const ParetoPoint& point, std::size_t series) {
  std::string name = "dot " + series_class(series);
  if (!point.measured) name += " hollow";
  if (!point.front) name += " muted";
  return name;
}

void draw_front(Plot& plot, const ParetoPlot& data) {
  std::vector<Point> front;
  for (const ParetoPoint& point : data.points) {
    if (point.front) front.push_back({point.speedup, point.quality});
  }
  std::ranges::sort(front, {}, &Point::x);
  if (front.size() > 1) plot.line(front, "front");
}

void draw_points(Plot& plot, const ParetoPlot& data, const std::vector<std::string>& series) {
  for (const ParetoPoint& point : data.points) {
    const Point at{point.speedup, point.quality};
    const auto found = std::ranges::find(series, point.series);
    const std::string tooltip = point.label + ": " + number_text(point.speedup) + "x, " +
                                data.metric + " " + number_text(point.quality) +
                                (point.measured ? "" : ", predicted") +
                                (point.front ? "" : ", beaten by another");
    if (point.chosen) plot.dot(at, "chosen", tooltip);
    plot.dot(at, dot_class(point, static_cast<std::size_t>(found - series.begin())), tooltip);
    plot.label(at, std::to_string(point.number), point.front ? "label" : "label muted");
  }
}

std::vector<LegendEntry> entries_of(const ParetoPlot& data,
                                    const std::vector<std::string>& series) {
  using Form = LegendEntry::Form;
  const auto any = [&](auto holds) { return std::ranges::any_of(data.points, holds); };
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < series.size(); ++i)
    entries.push_back({Form::kDot, "dot " + series_class(i), series[i]});
  if (any([](const ParetoPoint& point) { return point.front; }))
    entries.push_back({Form::kLine, "front", "front: beaten by none in both"});
  if (any([](const ParetoPoint& point) { return !point.front; }))
    entries.push_back({Form::kDot, "dot series-0 muted", "pale: beaten by another"});
  if (any([](const ParetoPoint& point) { return !point.measured; }))
    entries.push_back({Form::kDot, "dot series-0 hollow", "hollow: predicted, not measured"});
  if (any([](const ParetoPoint& point) { return point.chosen; }))
    entries.push_back({Form::kDot, "chosen", "chosen"});
  if (data.target_speedup || data.target_quality)
    entries.push_back({Form::kLine, "threshold", "target"});
  return entries;
}

}  // namespace

std::string pareto_figure(const ParetoPlot& data) {
  BW_CHECK(!data.points.empty(), "no points to draw");
  std::vector<double> speedups, qualities;
  for (const ParetoPoint& point : data.points) {
    speedups.push_back(point.speedup);
    qualities.push_back(point.quality);
  }
  if (data.target_speedup) speedups.push_back(*data.target_speedup);
  if (data.target_quality) qualities.push_back(*data.target_quality);
  const Range x = widened(range_of(speedups).value(), 0.08);
  const Range y = widened(range_of(qualities).value(), 0.12);
  Plot plot("Speed-up against " + data.metric, {"speed-up (right is faster)", x},
            {metric_name(data), y}, {720, 340});
  if (data.target_speedup) plot.post(*data.target_speedup, "threshold");
  if (data.target_quality) plot.level(*data.target_quality, "threshold", "");
  const std::vector<std::string> series = series_names(data);
  draw_front(plot, data);
  draw_points(plot, data, series);
  Markup out;
  return out.append(legend(entries_of(data, series))).append(plot.finish()).take();
}

}  // namespace bw
