// Clips taken together, and their gates as JUnit.
#include "quality/clip_set.h"

#include <gtest/gtest.h>

#include "quality/junit.h"

namespace bw {
namespace {

ClipResult clip(std::string name, std::string_view metric, std::vector<double> values) {
  return {std::move(name),
          {summarize(find_metric(metric, Origin::flag("--metric")), std::move(values))}};
}

TEST(SummarizeSet, StatisticsAreOverTheMeansOfClips) {
  const std::vector<ClipResult> clips = {clip("a", "psnr", {30, 20}), clip("b", "psnr", {23, 23}),
                                         clip("c", "psnr", {40, 42})};
  const std::vector<SetResult> set = summarize_set(clips);
  ASSERT_EQ(set.size(), 1U);
  EXPECT_EQ(set[0].means.values, (std::vector<double>{25, 23, 41}));
  EXPECT_NEAR(set[0].means.mean, 89.0 / 3, 1e-12);
  EXPECT_EQ(set[0].worst_clip, "b");
  EXPECT_EQ(set[0].worst_value_clip, "a");
  EXPECT_EQ(set[0].worst_value.worst, 20);
  EXPECT_EQ(set[0].worst_value.worst_frame, 1);
}

TEST(SummarizeSet, LowerIsBetter_WorstIsTheHighest) {
  const std::vector<ClipResult> clips = {clip("a", "flip", {0.1, 0.5}), clip("b", "flip", {0.4})};
  const std::vector<SetResult> set = summarize_set(clips);
  EXPECT_EQ(set[0].worst_clip, "b");
  EXPECT_EQ(set[0].worst_value_clip, "a");
}

TEST(SummarizeSet, ClipsOfTwoKinds_AreCountedWhereTheyWereMeasured) {
  const std::vector<ClipResult> clips = {clip("a.mp4", "psnr", {30}),
                                         clip("a.safetensors", "relative_l2", {0.1})};
  const std::vector<SetResult> set = summarize_set(clips);
  ASSERT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0].means.values.size(), 1U);
  EXPECT_EQ(set[1].worst_clip, "a.safetensors");
}

TEST(JunitXml, HasOneCasePerGateAndClip_AndEscapes) {
  const std::vector<Gate> gates = gates_from_json(
      Json::parse(R"({"psnr": {"mean": {"min": 30}, "worst": {"min": 1}}})"), Origin::file("x: "));
  const ClipResult good = clip("a<b>&\"\x01.mp4", "psnr", {31});
  const ClipResult bad = clip("b.mp4", "psnr", {29});
  const std::vector<JudgedClip> judged = {{good.clip, check_gates(gates, good.metrics, good.clip)},
                                          {bad.clip, check_gates(gates, bad.metrics, bad.clip)}};
  EXPECT_EQ(junit_xml("suite", gates, judged),
            R"xml(<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1">
  <testsuite name="suite" tests="4" failures="1">
    <testcase classname="a&lt;b&gt;&amp;&quot;?.mp4" name="psnr mean &gt;= 30"/>
    <testcase classname="a&lt;b&gt;&amp;&quot;?.mp4" name="psnr worst &gt;= 1"/>
    <testcase classname="b.mp4" name="psnr mean &gt;= 30">
      <failure message="b.mp4: psnr mean is 29 dB, below the lowest allowed, 30 dB (worst: frame 0 with 29)"/>
    </testcase>
    <testcase classname="b.mp4" name="psnr worst &gt;= 1"/>
  </testsuite>
</testsuites>
)xml");
}

}  // namespace
}  // namespace bw
