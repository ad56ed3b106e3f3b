#include "page/svg.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace bw {
namespace {

constexpr double kLeft = 62;
constexpr double kRight = 18;
constexpr double kTop = 30;
constexpr double kBottom = 46;

// Room for as many labels as fit beside each other.
constexpr int kXTicks = 10;
constexpr int kYTicks = 6;

double tick_step(Range range, int most, bool whole) {
  const double least = (range.high - range.low) / (most - 1);
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  return whole ? std::max(step, 1.0) : step;
}

}  // namespace

std::optional<Range> range_of(std::span<const double> values) {
  std::optional<Range> range;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    if (!range) range = {value, value};
    range = {std::min(range->low, value), std::max(range->high, value)};
  }
  return range;
}

Range widened(Range range, double margin) {
  const double width = range.high - range.low;
  // Less than rounding leaves of the values is no width.
  constexpr double kLeast = 1e-9;
  if (width > kLeast * std::max(std::abs(range.low), std::abs(range.high)))
    return {range.low - margin * width, range.high + margin * width};
  const double half = range.low == 0 ? 0.5 : std::abs(range.low) / 10;
  return {range.low - half, range.high + half};
}

std::vector<double> axis_ticks(Range range, int most, bool whole) {
  BW_CHECK(range.high > range.low && most >= 2);
  const double step = tick_step(range, most, whole);
  const double slack = 1e-9 * (range.high - range.low);
  std::vector<double> ticks;
  const double first = std::ceil((range.low - slack) / step);
  for (double i = first; i * step <= range.high + slack; ++i)
    ticks.push_back(i * step + 0.0);  // never -0
  return ticks;
}

std::string series_class(std::size_t i) {
  constexpr std::size_t kSeries = 8;
  return "series-" + std::to_string(i % kSeries);
}

void open_svg(Markup& svg, const std::string& description, Size size) {
  svg.open("svg", {{"viewBox", "0 0 " + coordinate(size.width) + " " + coordinate(size.height)},
                   {"width", size.width},
                   {"height", size.height},
                   {"role", "img"},
                   {"aria-label", description}});
}

Plot::Plot(const std::string& description, const Axis& x, const Axis& y, Size size)
    : size_(size),
      horizontal_{kLeft, size.width - kRight},
      vertical_{size.height - kBottom, kTop},
      x_(x.range, horizontal_),
      y_(y.range, vertical_) {
  open_svg(svg_, description, size);
  draw_axes(x, y);
}

void Plot::draw_axes(const Axis& x, const Axis& y) {
  for (const double tick : axis_ticks(y.range, kYTicks, y.whole)) {
    const double at = y_(tick);
    svg_.empty("line", {{"class", "grid"},
                        {"x1", horizontal_.low},
                        {"x2", horizontal_.high},
                        {"y1", at},
                        {"y2", at}});
    svg_.element("text", number_text(tick),
                 {{"class", "tick end"}, {"x", horizontal_.low - 8}, {"y", at + 4}});
  }
  for (const double tick : axis_ticks(x.range, kXTicks, x.whole)) {
    const double at = x_(tick);
    svg_.empty("line", {{"class", "axis"},
                        {"x1", at},
                        {"x2", at},
                        {"y1", vertical_.low},
                        {"y2", vertical_.low + 4}});
    svg_.element("text", number_text(tick),
                 {{"class", "tick middle"}, {"x", at}, {"y", vertical_.low + 18}});
  }
  svg_.empty("line", {{"class", "axis"},
                      {"x1", horizontal_.low},
                      {"x2", horizontal_.high},
                      {"y1", vertical_.low},
                      {"y2", vertical_.low}});
  svg_.element("text", y.label, {{"class", "label"}, {"x", 4}, {"y", 16}});
  svg_.element("text", x.label,
               {{"class", "label middle"},
                {"x", (horizontal_.low + horizontal_.high) / 2},
                {"y", size_.height - 8}});
}

void Plot::line(std::span<const Point> points, std::string_view css_class) {
  std::string path;
  for (const Point& point : points) {
    if (!path.empty()) path += ' ';
    path += coordinate(x_(point.x)) + "," + coordinate(y_(point.y));
  }
  svg_.empty("polyline", {{"class", css_class}, {"points", path}});
}

void Plot::dot(Point point, std::string_view css_class, std::string_view tooltip) {
  constexpr double kRadius = 4.5;
  svg_.open("circle",
            {{"class", css_class}, {"cx", x_(point.x)}, {"cy", y_(point.y)}, {"r", kRadius}});
  svg_.element("title", tooltip).close();
}

void Plot::band(Range x, std::string_view css_class, std::string_view tooltip) {
  const double left = std::max(x_(x.low), horizontal_.low);
  const double right = std::min(x_(x.high), horizontal_.high);
  svg_.open("rect", {{"class", css_class},
                     {"x", left},
                     {"y", vertical_.high},
                     {"width", std::max(0.0, right - left)},
                     {"height", vertical_.low - vertical_.high - 1}});
  svg_.element("title", tooltip).close();
}

void Plot::bar(Point top, double width, std::string_view css_class, std::string_view tooltip) {
  const double left = x_(top.x - width / 2);
  const double height = std::max(0.0, vertical_.low - y_(top.y));
  svg_.open("rect", {{"class", css_class},
                     {"x", left},
                     {"y", vertical_.low - height},
                     {"width", x_(top.x + width / 2) - left},
                     {"height", height}});
  svg_.element("title", tooltip).close();
}

void Plot::level(double y, std::string_view css_class, std::string_view text) {
  const double at = y_(y);
  svg_.empty("line", {{"class", css_class},
                      {"x1", horizontal_.low},
                      {"x2", horizontal_.high},
                      {"y1", at},
                      {"y2", at}});
  if (text.empty()) return;
  svg_.element("text", text, {{"class", "label end"}, {"x", horizontal_.high}, {"y", at - 6}});
}

void Plot::post(double x, std::string_view css_class) {
  const double at = x_(x);
  svg_.empty("line", {{"class", css_class},
                      {"x1", at},
                      {"x2", at},
                      {"y1", vertical_.low},
                      {"y2", vertical_.high}});
}

void Plot::label(Point point, std::string_view text, std::string_view css_class) {
  const bool is_right = x_(point.x) > horizontal_.high - 24;
  svg_.element("text", text,
               {{"class", std::string(css_class) + (is_right ? " end" : "")},
                {"x", x_(point.x) + (is_right ? -8 : 8)},
                {"y", y_(point.y) - 7}});
}

std::string Plot::finish() {
  svg_.close();
  return svg_.take();
}

std::string legend(const std::vector<LegendEntry>& entries) {
  Markup list;
  list.open("ul", {{"class", "legend"}});
  for (const LegendEntry& entry : entries) {
    list.open("li");
    list.open("svg",
              {{"viewBox", "0 0 22 12"}, {"width", 22}, {"height", 12}, {"aria-hidden", "true"}});
    switch (entry.form) {
      case LegendEntry::Form::kBox:
        list.empty(
            "rect",
            {{"class", entry.css_class}, {"x", 4}, {"y", 0.5}, {"width", 14}, {"height", 11}});
        break;
      case LegendEntry::Form::kLine:
        list.empty("line",
                   {{"class", entry.css_class}, {"x1", 0}, {"x2", 22}, {"y1", 6}, {"y2", 6}});
        break;
      case LegendEntry::Form::kDot:
        list.empty("circle", {{"class", entry.css_class}, {"cx", 11}, {"cy", 6}, {"r", 4.5}});
        break;
    }
    list.close().text(entry.text).close();
  }
  return list.close().take();
}

}  // namespace bw
