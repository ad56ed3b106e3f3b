// Plots in plain SVG: scales, ticks, axes and marks. Colours and strokes are classes of style.cc,
// so that a figure follows the reader's light or dark setting. Read frame_quality.cc for the
// smallest figure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "page/html.h"

namespace bw {

struct Range {
  double low = 0;
  double high = 1;
};

// The range that the finite values span; nothing when there is none.
[[nodiscard]] std::optional<Range> range_of(std::span<const double> values);
// Wider by `margin` of its width on both sides; a range without width gets one around its value.
[[nodiscard]] Range widened(Range range, double margin);

// Multiples of 1, 2 or 5 times a power of ten inside the range, at most `most` >= 2 of them; with
// `whole` never closer than 1.
[[nodiscard]] std::vector<double> axis_ticks(Range range, int most, bool whole = false);

// Data to pixels, linearly; data.low != data.high.
class Scale {
 public:
  Scale(Range data, Range pixels) : data_(data), pixels_(pixels) {}
  [[nodiscard]] double operator()(double value) const {
    const double share = (value - data_.low) / (data_.high - data_.low);
    return pixels_.low + share * (pixels_.high - pixels_.low);
  }

 private:
  Range data_;
  Range pixels_;
};

struct Axis {
  std::string label;
  Range range;
  bool whole = false;  // whole numbers only: steps, frames
};

struct Point {
  double x = 0;
  double y = 0;
};

struct Size {
  double width = 720;
  double height = 300;
};

class Plot {
 public:
  // `description` is what a screen reader says.
  Plot(const std::string& description, const Axis& x, const Axis& y, Size size = {});

  void line(std::span<const Point> points, std::string_view css_class);
  void dot(Point point, std::string_view css_class, std::string_view tooltip);
  // The band from x.low to x.high over the whole height.
  void band(Range x, std::string_view css_class, std::string_view tooltip);
  // A bar from the bottom up to y, `width` wide in data.
  void bar(Point top, double width, std::string_view css_class, std::string_view tooltip);
  // A horizontal line with its name, if any, at the right end.
  void level(double y, std::string_view css_class, std::string_view text);
  // A vertical line.
  void post(double x, std::string_view css_class);
  void label(Point point, std::string_view text, std::string_view css_class);
  [[nodiscard]] std::string finish();

 private:
  void draw_axes(const Axis& x, const Axis& y);
  Size size_;
  Range horizontal_;  // pixels of the plotting area
  Range vertical_;    // bottom first
  Scale x_;
  Scale y_;
  Markup svg_;
};

// Opens <svg> with a view box; the caller draws and closes it.
void open_svg(Markup& svg, const std::string& description, Size size);

// Of series i: "series-0" … "series-7", then again from the start.
[[nodiscard]] std::string series_class(std::size_t i);

struct LegendEntry {
  enum class Form { kBox, kLine, kDot };
  Form form = Form::kBox;
  std::string css_class;
  std::string text;
};

[[nodiscard]] std::string legend(const std::vector<LegendEntry>& entries);

}  // namespace bw
