#include "page/frame_quality.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "page/svg.h"

namespace bw {

std::string frame_quality_figure(const FrameQuality& quality) {
  std::vector<double> all;
  std::size_t frames = 0;
  for (const QualitySeries& series : quality.series) {
    all.insert(all.end(), series.per_frame.begin(), series.per_frame.end());
    frames = std::max(frames, series.per_frame.size());
  }
  const std::optional<Range> range = range_of(all);
  if (!range) {
    Markup out;
    return out.element("p", quality.metric + ": no value is finite, so there is nothing to draw.")
        .take();
  }
  std::string name = quality.metric;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  if (!quality.unit.empty()) name += " in " + quality.unit;
  name += " (" + quality.direction + ")";
  Plot plot(name + " per frame",
            {"frame", {0, std::max(1.0, static_cast<double>(frames) - 1)}, true},
            {name, widened(*range, 0.1)}, {720, 240});
  std::vector<LegendEntry> entries;
  for (std::size_t i = 0; i < quality.series.size(); ++i) {
    const QualitySeries& series = quality.series[i];
    std::vector<Point> points;
    for (std::size_t frame = 0; frame < series.per_frame.size(); ++frame) {
      if (std::isfinite(series.per_frame[frame]))
        points.push_back({static_cast<double>(frame), series.per_frame[frame]});
    }
    plot.line(points, "line " + series_class(i));
    for (const Point& point : points) {
      plot.dot(point, "dot " + series_class(i),
               series.name + ", frame " + number_text(point.x) + ": " + number_text(point.y));
    }
    entries.push_back({LegendEntry::Form::kDot, "dot " + series_class(i), series.name});
  }
  Markup out;
  return out.append(legend(entries)).append(plot.finish()).take();
}

}  // namespace bw
