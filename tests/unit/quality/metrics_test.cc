// Closed forms of the metrics that look at time or at latents, and of FLIP's ends.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quality/compare.h"

namespace bw {
namespace {

MetricResult measured(std::string_view name, const at::Tensor& video, const at::Tensor& reference) {
  const MetricInfo& metric = find_metric(name, Origin::flag("--metric"));
  return compare(video, reference, {&metric, 1}).front();
}

// Frames that are flat, of these levels.
at::Tensor levels(std::initializer_list<int> values) {
  std::vector<at::Tensor> frames;
  for (const int value : values) frames.push_back(at::full({1, 12, 14, 3}, value, at::kByte));
  return at::cat(frames);
}

TEST(Flicker, OfTheSameErrorInAllFrames_IsZero) {
  const MetricResult result = measured("flicker", levels({10, 20, 40}), levels({0, 10, 30}));
  EXPECT_EQ(result.values, (std::vector<double>{0, 0}));
}

TEST(Flicker, IsTheDifferenceOfTheChanges) {
  // Changes +10 -30 +255 against +5 +5 0.
  const MetricResult result = measured("flicker", levels({20, 30, 0, 255}), levels({0, 5, 10, 10}));
  EXPECT_EQ(result.values, (std::vector<double>{5, 35, 255}));
  EXPECT_EQ(result.worst_frame, 2);
}

TEST(FlickerRatio, IsTheRatioOfTheMeanChanges) {
  EXPECT_EQ(measured("flicker_ratio", levels({0, 30, 0}), levels({0, 20, 40})).mean, 1.5);
  EXPECT_EQ(measured("flicker_ratio", levels({7, 7, 7}), levels({0, 20, 40})).mean, 0);
}

TEST(FlickerRatio, OfAStillReference_IsOneOrInfinite) {
  EXPECT_EQ(measured("flicker_ratio", levels({7, 7}), levels({9, 9})).mean, 1);
  EXPECT_EQ(measured("flicker_ratio", levels({7, 8}), levels({9, 9})).mean,
            std::numeric_limits<double>::infinity());
}

TEST(Flip, EqualFrames_AreZero_BlackAndWhiteNearlyOne) {
  const at::Tensor noise =
      at::arange(12 * 14 * 3, at::kInt).mul(37).remainder(256).to(at::kByte).view({1, 12, 14, 3});
  EXPECT_EQ(measured("flip", noise, noise).mean, 0);
  const double opposite = measured("flip", levels({0}), levels({255})).mean;
  EXPECT_GT(opposite, 0.9);
  EXPECT_LE(opposite, 1);
}

TEST(Flip, OneFrameAmongMany_IsThatFrames) {
  const MetricResult result = measured("flip", levels({9, 9, 200, 9}), levels({9, 9, 9, 9}));
  EXPECT_EQ(result.values[0], 0);
  EXPECT_EQ(result.worst_frame, 2);
  EXPECT_EQ(result.worst, measured("flip", levels({200}), levels({9})).mean);
}

at::Tensor latents(std::initializer_list<float> values) {
  const std::vector<float> data(values);
  return at::tensor(data).view({1, 2, static_cast<std::int64_t>(data.size()) / 2, 1, 1}).clone();
}

TEST(CosineDistance, PerLatentFrame_IsItsClosedForm) {
  // [C=2,F=2]: frames (1,0) and (1,1) against (1,0) and (-1,-1).
  const MetricResult result =
      measured("cosine_distance", latents({1, 1, 0, 1}), latents({1, -1, 0, -1}));
  EXPECT_NEAR(result.values[0], 0, 1e-15);
  EXPECT_NEAR(result.values[1], 2, 1e-15);
}

TEST(CosineDistance, OfZeros_IsZeroOrOne) {
  EXPECT_EQ(measured("cosine_distance", latents({0, 0}), latents({0, 0})).mean, 0);
  EXPECT_EQ(measured("cosine_distance", latents({1, 0}), latents({0, 0})).mean, 1);
}

TEST(RelativeL2, IsRelativeToTheReference) {
  EXPECT_NEAR(measured("relative_l2", latents({3, 0}), latents({0, 4})).mean, 1.25, 1e-15);
  EXPECT_EQ(measured("relative_l2", latents({0, 0}), latents({0, 0})).mean, 0);
  EXPECT_EQ(measured("relative_l2", latents({1, 0}), latents({0, 0})).mean,
            std::numeric_limits<double>::infinity());
}

TEST(EveryUsualMetric, IsTheSameForAnyNumberOfThreads) {
  at::manual_seed(3);
  const at::Tensor a = at::randint(256, {5, 40, 33, 3}, at::kInt).to(at::kByte);
  const at::Tensor b = at::randint(256, {5, 40, 33, 3}, at::kInt).to(at::kByte);
  const std::vector<MetricInfo> usual = usual_metrics(a);
  std::vector<std::vector<MetricResult>> results;
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    results.push_back(compare(a, b, usual));
  }
  at::set_num_threads(before);
  for (std::size_t i = 0; i < usual.size(); ++i) {
    EXPECT_EQ(results[0][i].values, results[1][i].values) << usual[i].name;
    EXPECT_EQ(results[0][i].values, results[2][i].values) << usual[i].name;
  }
}

}  // namespace
}  // namespace bw
