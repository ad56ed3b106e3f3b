// What signals compare: the metrics, how far the first blocks have come, the filter of noise.
#include "cache/signals.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cache/wiener_filter.h"
#include "support/fake_pass.h"

namespace bw::testing {
namespace {

double distance_by(SignalMetric metric, const Hidden& now, const Hidden& before) {
  RelativeL1Batch batch;
  DistanceQueue queue(metric);
  queue.compare(now, {3, before}, 5, batch);
  batch.send();
  EXPECT_EQ(queue.gap(), 2);
  return queue.distances(batch).front();
}

TEST(SignalMetric, MeanSquare_IsOverAllStreams) {
  const Hidden now = {at::tensor({1.0F, 3.0F}), at::tensor({2.0F})};
  const Hidden before = {at::tensor({0.0F, 1.0F}), at::tensor({5.0F})};
  EXPECT_DOUBLE_EQ(distance_by(SignalMetric::kMeanSquare, now, before), (1.0 + 4.0 + 9.0) / 3);
}

// 16 channels: the first two count. Tokens at 0, 90 and 180 degrees: cosines 1, 0 and −1.
TEST(SignalMetric, CosineDistance_IsOfTheFirstEighthOfTheChannels) {
  at::Tensor now = seeded_randn({1, 3, 16}, 1), before = seeded_randn({1, 3, 16}, 2);
  now.narrow(2, 0, 2).copy_(at::tensor({1.0F, 0.0F}).expand({1, 3, 2}));
  before.narrow(2, 0, 2).copy_(
      at::tensor({2.0F, 0.0F, 0.0F, 3.0F, -4.0F, 0.0F}).reshape({1, 3, 2}));
  EXPECT_NEAR(distance_by(SignalMetric::kCosineDistance, {now}, {before}), (0 + 1 + 2) / 3.0, 1e-6);
}

TEST(Progress, AlongALine_IsTheRatioOfTheWays) {
  const at::Tensor start = seeded_randn({1, 4, 8}, 1), way = seeded_randn({1, 4, 8}, 2);
  const std::vector<Sample> samples = {{4, {start + 2 * way}}, {2, {start}}};
  RelativeL1Batch batch;
  const ProgressRows rows = queue_progress({start + 3 * way}, samples, batch);
  batch.send();
  EXPECT_NEAR(progress(rows, batch), 1.5, 1e-6);
}

// g = S/2 / (S/4 + 1/4) at σ = 0.5, S = |f|^−2: 2, 128/65, 32/17, 128/73 and 8/5 at 0 … 4 of 8
// cycles, all but the first and the last of them twice; the gain is g over their mean.
TEST(WienerFilter, Waves_KeepTheirGain) {
  const double mean = (2 + 8.0 / 5 + 2 * (128.0 / 65 + 32.0 / 17 + 128.0 / 73)) / 8;
  const at::Tensor row = at::arange(8, at::kFloat) * (2 * M_PI * 2 / 8);
  const at::Tensor wave = row.sin().reshape({1, 8, 1}).expand({1, 8, 4});  // two cycles
  const at::Tensor tokens = (wave + 1.0).contiguous();
  const at::Tensor expected = (wave * (32.0 / 17) + 2.0) / mean;
  const auto filtered = [&](double sigma) {
    return wiener_filtered(tokens, {1, 1, 8}, {.sigma = sigma, .spectrum = 2});
  };
  EXPECT_TRUE(at::allclose(filtered(0.5), expected, 0, 1e-5));
  EXPECT_TRUE(at::allclose(filtered(0), tokens, 0, 1e-5)) << "no noise";
}

TEST(WienerFilter, TokensThatAreNoGrid_PassUnchanged) {
  const at::Tensor tokens = seeded_randn({1, 7, 4}, 1);
  EXPECT_TRUE(at::equal(wiener_filtered(tokens, {2, 3, 8}, {.sigma = 0.5, .spectrum = 2}), tokens));
}

}  // namespace
}  // namespace bw::testing
