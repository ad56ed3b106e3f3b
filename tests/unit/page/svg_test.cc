#include "page/svg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/markup.h"

namespace bw {
namespace {

TEST(Scale, Data_MapsLinearly) {
  const Scale scale({10, 20}, {100, 300});
  EXPECT_DOUBLE_EQ(scale(10), 100);
  EXPECT_DOUBLE_EQ(scale(20), 300);
  EXPECT_DOUBLE_EQ(scale(12.5), 150);
  const Scale down({0, 1}, {200, 0});  // upwards on a screen
  EXPECT_DOUBLE_EQ(down(0.25), 150);
}

struct TickRow {
  const char* why;
  Range range;
  int most;
  bool whole;
  std::vector<double> expected;
};

class AxisTicks : public ::testing::TestWithParam<TickRow> {};

TEST_P(AxisTicks, Range_HasRoundTicks) {
  const TickRow& row = GetParam();
  const std::vector<double> ticks = axis_ticks(row.range, row.most, row.whole);
  ASSERT_EQ(ticks.size(), row.expected.size()) << row.why;
  for (std::size_t i = 0; i < ticks.size(); ++i)
    EXPECT_NEAR(ticks[i], row.expected[i], 1e-12) << row.why;
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, AxisTicks,
    ::testing::Values(
        TickRow{"ends are ticks", {0, 10}, 6, false, {0, 2, 4, 6, 8, 10}},
        TickRow{"steps of 5", {0, 24}, 6, false, {0, 5, 10, 15, 20}},
        TickRow{"small numbers", {0, 0.003}, 4, false, {0, 0.001, 0.002, 0.003}},
        TickRow{"across zero", {-1, 1}, 5, false, {-1, -0.5, 0, 0.5, 1}},
        TickRow{"far from zero", {31.2, 33.9}, 6, false, {32, 33}},
        TickRow{"no half steps", {-0.5, 2.5}, 10, true, {0, 1, 2}},
        TickRow{"many steps", {0, 49}, 11, true, {0, 5, 10, 15, 20, 25, 30, 35, 40, 45}}));

TEST(AxisTicks, AnyRange_HasNoMoreThanAllowed) {
  for (double width = 1e-6; width < 1e9; width *= 1.37) {
    for (const double low : {-width / 3, 0.0, 17.0}) {
      EXPECT_LE(axis_ticks({low, low + width}, 6).size(), 6U) << low << " " << width;
      EXPECT_GE(axis_ticks({low, low + width}, 6).size(), 1U) << low << " " << width;
    }
  }
}

TEST(RangeOf, Values_AreSpannedWithoutWhatIsNotFinite) {
  const std::vector<double> values = {3, std::nan(""), -1, std::numeric_limits<double>::infinity()};
  const auto range = range_of(values);
  ASSERT_TRUE(range);
  EXPECT_EQ(range->low, -1);
  EXPECT_EQ(range->high, 3);
  EXPECT_FALSE(range_of(std::vector<double>{std::nan("")}));
}

TEST(Widened, OneValue_GetsAWidth) {
  EXPECT_LT(widened({5, 5}, 0.1).low, 5);
  EXPECT_GT(widened({5, 5}, 0.1).high, 5);
  EXPECT_LT(widened({0, 0}, 0.1).low, 0);
  EXPECT_GT(widened({1e16, 1e16 + 2}, 0.1).high, 1.01e16) << "ticks need room between numbers";
  EXPECT_DOUBLE_EQ(widened({0, 10}, 0.1).low, -1);
  EXPECT_DOUBLE_EQ(widened({0, 10}, 0.1).high, 11);
}

TEST(Plot, Marks_LieWhereTheScaleSays) {
  Plot plot("test", {"x", {0, 10}}, {"y", {0, 1}}, {400, 200});
  plot.dot({0, 0}, "dot a", "low");
  plot.dot({10, 1}, "dot b", "high & <right>");
  plot.dot({5, 0.5}, "dot c", "middle");
  const std::string svg = plot.finish();
  EXPECT_EQ(testing::outside_view_box(svg), "");
  const std::vector<double> x = testing::numbers_of(svg, "cx");
  const std::vector<double> y = testing::numbers_of(svg, "cy");
  ASSERT_EQ(x.size(), 3U);
  EXPECT_NEAR(x[2], (x[0] + x[1]) / 2, 0.011);
  EXPECT_NEAR(y[2], (y[0] + y[1]) / 2, 0.011);
  EXPECT_LT(x[0], x[1]);
  EXPECT_GT(y[0], y[1]) << "up is more";
  EXPECT_EQ(testing::count_of(svg, "<title>high &amp; &lt;right&gt;</title>"), 1U);
}

TEST(SeriesClass, ManySeries_StartAgain) {
  EXPECT_EQ(series_class(0), "series-0");
  EXPECT_EQ(series_class(8), "series-0");
}

}  // namespace
}  // namespace bw
