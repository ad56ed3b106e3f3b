#include <gtest/gtest.h>

#include <limits>

#include "page/frame_quality.h"
#include "page/frames.h"
#include "page/indicator_curve.h"
#include "page/pareto.h"
#include "page/stage_times.h"
#include "page/step_map.h"
#include "support/markup.h"

namespace bw {
namespace {

using testing::count_of;
using testing::numbers_of;
using testing::outside_view_box;

// Two steps of three blocks computed, then one with a reused, a partly reused and a computed block,
// and one in which the branch took no part.
StepMap small_map() {
  StepMap map{"conditional branch", {}};
  map.columns.push_back({0, 0, "computed", "policy", false, std::vector<MapCell>(3)});
  map.columns.push_back({1, 0, "computed", "overruled: warmup", true, std::vector<MapCell>(3)});
  map.columns.push_back(
      {2, 0, "in part", "policy", false, {{true, {}}, {false, {true, false}}, {false, {}}}});
  map.columns.push_back({3, 0, "took no part", "", false, {}});
  return map;
}

TEST(StepMapFigure, Cells_AreCountedAndInside) {
  const StepMap map = small_map();
  for (const MapSize size : {MapSize::kFull, MapSize::kSmall}) {
    const std::string svg = step_map_figure(map, size);
    EXPECT_EQ(count_of(svg, "class=\"cell computed\""), 7U);
    EXPECT_EQ(count_of(svg, "class=\"cell reused\""), 1U);
    EXPECT_EQ(count_of(svg, "class=\"cell partly\""), 1U);
    EXPECT_EQ(count_of(svg, "class=\"stage\""), 1U);
    EXPECT_EQ(count_of(svg, "class=\"overruled\""), 1U);
    EXPECT_EQ(count_of(svg, "<title>step 2: in part (policy)</title>"), 1U);
    EXPECT_EQ(outside_view_box(svg), "");
  }
}

TEST(StepMapFigure, ManyBlocksAndSteps_StayInside) {
  StepMap map{"conditional branch", {}};
  for (std::int64_t i = 0; i < 200; ++i) {
    map.columns.push_back(
        {i / 2, static_cast<int>(i % 2), "computed", "policy", false, std::vector<MapCell>(60)});
  }
  EXPECT_EQ(outside_view_box(step_map_figure(map, MapSize::kFull)), "");
}

TEST(StepMapLegend, Marks_AreNamedWhenTheyOccur) {
  EXPECT_EQ(count_of(step_map_legend({small_map()}), "<li>"), 4U);
  StepMap plain{"conditional branch", {{0, 0, "computed", "policy", false, {{false, {}}}}}};
  EXPECT_EQ(count_of(step_map_legend({plain}), "<li>"), 2U);
}

TEST(StepMapTable, Columns_AreRowsOfLetters) {
  const std::string table = step_map_table(small_map());
  EXPECT_EQ(count_of(table, "<td>###</td>"), 2U);
  EXPECT_EQ(count_of(table, "<td>.+#</td>"), 1U);
  EXPECT_EQ(count_of(table, "overruled: warmup"), 1U);
}

TEST(IndicatorFigure, Values_AreDotsAndReusedStepsBands) {
  IndicatorCurve curve;
  curve.series = {{"conditional branch", {{1, 0.2, 1}, {2, std::nullopt, 1}, {3, 0.1, 1}}}};
  curve.threshold = 0.15;
  curve.reused = {false, false, false, false, true, true};
  const std::string svg = indicator_figure(curve);
  EXPECT_EQ(count_of(svg, "<circle class=\"dot series-0\""), 3U) << "two values and the legend";
  EXPECT_EQ(count_of(svg, "<title>step 4: reused</title>"), 1U);
  EXPECT_EQ(count_of(svg, "not finite"), 1U);
  EXPECT_EQ(count_of(svg, ">threshold 0.15<"), 1U);
  EXPECT_EQ(outside_view_box(svg), "");
  // The line lies in the middle of the two values.
  const std::vector<double> y = numbers_of(svg.substr(svg.find("Indicator over")), "cy");
  const std::vector<double> line =
      numbers_of(svg.substr(svg.find("class=\"threshold\" x1=\"62\"")), "y1");
  ASSERT_EQ(y.size(), 2U);
  EXPECT_NEAR(line.at(0), (y[0] + y[1]) / 2, 0.011);
}

TEST(IndicatorFigure, ThresholdFarAbove_IsSaidNotDrawn) {
  IndicatorCurve curve;
  curve.series = {{"conditional branch", {{1, 0.01, 1}}}};
  curve.threshold = 5;
  curve.reused = {false, false};
  const std::string svg = indicator_figure(curve);
  EXPECT_EQ(count_of(svg, "<line class=\"threshold\""), 0U);
  EXPECT_EQ(count_of(svg, "The threshold, 5, lies far above"), 1U);
  EXPECT_EQ(outside_view_box(svg), "");
}

TEST(IndicatorCurve, NothingFinite_HasNoValues) {
  IndicatorCurve curve;
  EXPECT_FALSE(has_values(curve));
  curve.series = {{"conditional branch", {{1, std::nullopt, 1}}}};
  EXPECT_FALSE(has_values(curve));
}

TEST(StageTimesFigure, Bars_AreInProportion) {
  const std::string svg = stage_times_figure({{"load", 1}, {"denoise", 4}, {"indicator", 0, true}});
  const std::vector<double> widths = numbers_of(svg.substr(svg.find("<text")), "width");
  ASSERT_EQ(widths.size(), 3U);
  EXPECT_NEAR(widths[1], 4 * widths[0], 0.05);
  EXPECT_EQ(widths[2], 0);
  EXPECT_EQ(count_of(svg, "class=\"bar part\""), 1U);
  EXPECT_EQ(outside_view_box(svg), "");
}

TEST(StageTimesFigure, LongName_IsCutAtACharacter) {
  std::string name;
  for (int i = 0; i < 100; ++i) name += "ä";
  const std::string svg = stage_times_figure({{name, 1}});
  EXPECT_EQ(count_of(svg, name), 1U) << "whole in the tooltip";
  EXPECT_EQ(count_of(svg, "ä…</text>"), 1U);
  EXPECT_EQ(outside_view_box(svg), "");
}

TEST(StageTimesFigure, NoTimeAtAll_StillDraws) {
  EXPECT_EQ(outside_view_box(stage_times_figure({{"load", 0}})), "");
}

TEST(StepTimesFigure, Bars_AreOnePerStep) {
  const std::string svg = step_times_figure({1, 2, 0.5}, {false, false, true});
  EXPECT_EQ(count_of(svg, "<rect class=\"bar computed\""), 3U) << "two steps and the legend";
  EXPECT_EQ(count_of(svg, "<rect class=\"bar reused\""), 2U);
  EXPECT_EQ(outside_view_box(svg), "");
  EXPECT_EQ(outside_view_box(step_times_figure({0}, {false})), "");
}

TEST(FrameQualityFigure, Frames_AreDots) {
  const std::string svg = frame_quality_figure(
      {"psnr", "dB", "higher is closer", {{"a.mp4", {30, 31, 32}}, {"b.mp4", {40, 41}}}});
  EXPECT_EQ(count_of(svg, "<circle class=\"dot series-0\""), 4U);
  EXPECT_EQ(count_of(svg, "<circle class=\"dot series-1\""), 3U);
  EXPECT_EQ(count_of(svg, "PSNR in dB (higher is closer)"), 2U) << "axis and description";
  EXPECT_EQ(outside_view_box(svg), "");
  EXPECT_EQ(
      outside_view_box(frame_quality_figure({"lpips", "", "lower is closer", {{"a", {0.5}}}})), "");
}

TEST(FrameQualityFigure, InfiniteValues_AreLeftOut) {
  const double infinite = std::numeric_limits<double>::infinity();
  const std::string svg =
      frame_quality_figure({"psnr", "dB", "higher is closer", {{"a", {30, infinite, 32}}}});
  EXPECT_EQ(count_of(svg, "<circle class=\"dot series-0\""), 3U) << "two values and the legend";
  EXPECT_EQ(count_of(svg, "inf"), 0U);
  EXPECT_EQ(count_of(frame_quality_figure({"psnr", "dB", "up", {{"a", {infinite}}}}), "<svg"), 0U);
}

ParetoPlot four_points() {
  ParetoPlot plot{"psnr", "dB", "higher is closer", {}, {}, {}};
  plot.points = {{"slow", "a", 1.2, 40, 1, true},
                 {"beaten", "a", 1.1, 35, 2},
                 {"fast", "b", 2.0, 30, 3, true},
                 {"equal", "b", 2.0, 30, 4, true}};
  return plot;
}

TEST(ParetoFigure, Points_FrontAndChosenAreDrawn) {
  ParetoPlot plot = four_points();
  plot.points[2].chosen = true;
  plot.points[3].measured = false;
  plot.target_speedup = 1.8;
  const std::string svg = pareto_figure(plot);
  const std::string figure = svg.substr(svg.find("Speed-up against"));
  EXPECT_EQ(count_of(figure, "<circle class=\"dot"), 4U);
  EXPECT_EQ(count_of(figure, "muted\" cx"), 1U);
  EXPECT_EQ(count_of(figure, "hollow"), 1U);
  EXPECT_EQ(count_of(figure, "<circle class=\"chosen\""), 1U);
  EXPECT_EQ(count_of(figure, "<polyline class=\"front\""), 1U);
  EXPECT_EQ(count_of(figure, "<line class=\"threshold\""), 1U);
  EXPECT_EQ(outside_view_box(svg), "");
}

TEST(ParetoFigure, OnePoint_HasNoFrontLine) {
  ParetoPlot plot{"psnr", "dB", "higher is closer", {{"only", "a", 1.5, 33, 1, true}}, {}, {}};
  const std::string svg = pareto_figure(plot);
  EXPECT_EQ(count_of(svg, "<polyline"), 0U);
  EXPECT_EQ(outside_view_box(svg), "");
}

TEST(ContactSheet, Frames_AreInsideThePage) {
  const std::string sheet = contact_sheet({"a \"clip\"", {{0, "f"}, {7, "fo"}}});
  EXPECT_EQ(count_of(sheet, "src=\"data:image/png;base64,"), 2U);
  EXPECT_EQ(count_of(sheet, "alt=\"a &quot;clip&quot;, frame 7\""), 1U);
  EXPECT_EQ(count_of(clip_player("video/mp4", "f"), "src=\"data:video/mp4;base64,Zg==\""), 1U);
}

}  // namespace
}  // namespace bw
