#include "cache/rebuild.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"

namespace bw {
namespace {

const Origin kOrigin = Origin::flag("--cache bwcache: rebuild");

Hidden one(double value, at::ScalarType dtype = at::kFloat) {
  return {at::full({2, 3}, value, at::TensorOptions().dtype(dtype))};
}

double only_value(const Hidden& hidden) {
  EXPECT_EQ(hidden.size(), 1U);
  EXPECT_EQ(hidden[0].min().item<double>(), hidden[0].max().item<double>());
  return hidden[0].flatten()[0].item<double>();
}

TEST(Rebuild_Parse, KnownRules_DeclareTheirDepth) {
  const struct {
    const char* text;
    const char* name;
    std::size_t depth;
    bool uses_input;
  } rows[] = {{"output", "output", 1, false},    {"residual", "residual", 1, true},
              {"linear", "linear", 2, true},     {"taylor:1", "linear", 2, true},
              {"taylor:2", "taylor:2", 3, true}, {"taylor:4", "taylor:4", 5, true}};
  for (const auto& row : rows) {
    const Rebuild rule = Rebuild::parse(row.text, kOrigin);
    EXPECT_EQ(rule.name(), row.name);
    EXPECT_EQ(rule.depth(), row.depth);
    EXPECT_EQ(rule.uses_input(), row.uses_input);
    EXPECT_FALSE(rule.without_input().uses_input());
    EXPECT_EQ(rule.without_input().depth(), row.depth);
  }
}

TEST(Rebuild_Parse, UnknownRules_AreRejected) {
  for (const char* text :
       {"", "outputs", "taylor", "taylor:", "taylor:0", "taylor:5", "taylor:1x"}) {
    EXPECT_THROW((void)Rebuild::parse(text, kOrigin), UsageError) << text;
  }
}

TEST(Rebuild_Value, HeldOutput_IsTheKeptTensorItself) {
  const Rebuild rule = Rebuild::parse("output", kOrigin);
  const Hidden output = one(3);
  const std::vector<Sample> samples = {{4, rule.keep(one(1), output)}};
  EXPECT_TRUE(rule.value(samples, {.step = 9}, {})[0].is_same(output[0])) << "held, not copied";
}

TEST(Rebuild_Value, HeldResidual_AddsToTheLiveInput) {
  const Rebuild rule = Rebuild::parse("residual", kOrigin);
  const std::vector<Sample> samples = {{4, rule.keep(one(1), one(3))}};
  EXPECT_EQ(only_value(rule.value(samples, {.step = 9}, one(10))), 12);
}

TEST(Rebuild_Value, Correction_ScalesAndShiftsWhatIsKept_NotTheInput) {
  const std::vector<Sample> samples = {{5, one(4)}, {3, one(3)}};
  const RebuildAt at{.step = 6, .correction = {0.5, 1}};
  const Rebuild residual = Rebuild::parse("residual", kOrigin);
  EXPECT_EQ(only_value(residual.value(std::span(samples).first(1), at, one(10))), 13);
  // The line through 3 and 4 has come to 4.5.
  EXPECT_EQ(only_value(Rebuild::parse("linear", kOrigin).value(samples, at, one(10))), 13.25);
  EXPECT_EQ(only_value(residual.without_input().value(std::span(samples).first(1), at, {})), 3);
  // 1 + 1/256 + 1/256 fits in bf16; 1 + 1/256 alone would be rounded to 1.
  const std::vector<Sample> coarse = {{5, one(0.00390625, at::kBFloat16)}};
  const RebuildAt shifted{.step = 6, .correction = {1, 0.00390625}};
  EXPECT_EQ(only_value(residual.value(coarse, shifted, one(1, at::kBFloat16))), 1.0078125);
}

TEST(Rebuild_Value, EveryStream_IsRebuiltByItself) {
  const Rebuild rule = Rebuild::parse("residual", kOrigin);
  const Hidden input = {at::full({1}, 1.0), at::full({2}, 2.0)};
  const Hidden output = {at::full({1}, 5.0), at::full({2}, 9.0)};
  const std::vector<Sample> samples = {{0, rule.keep(input, output)}};
  const Hidden value =
      rule.value(samples, {.step = 1}, {at::full({1}, 100.0), at::full({2}, 200.0)});
  EXPECT_EQ(value[0].item<double>(), 104);
  EXPECT_EQ(value[1][1].item<double>(), 207);
}

// p(t) = Σ c_i·t^i of the rule's order is met exactly at any later step, however uneven the gaps.
TEST(Rebuild_Value, PolynomialOfItsOrder_IsExact) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> coefficient(-1, 1);
  std::uniform_int_distribution<std::int64_t> gap(1, 5);
  for (int order = 1; order <= Rebuild::kMaxOrder; ++order) {
    const Rebuild rule = Rebuild::parse("taylor:" + std::to_string(order), kOrigin);
    for (int trial = 0; trial < 50; ++trial) {
      std::vector<double> c;
      for (int i = 0; i <= order; ++i) c.push_back(coefficient(random));
      const auto p = [&](std::int64_t t) {
        double sum = 0;
        for (int i = order; i >= 0; --i)
          sum = sum * static_cast<double>(t) + c[static_cast<std::size_t>(i)];
        return sum;
      };
      std::vector<Sample> samples;
      std::int64_t step = 0;
      for (std::size_t i = 0; i < rule.depth(); ++i) {
        const Hidden residual = one(p(step));
        samples.insert(samples.begin(), {step, residual});
        step += gap(random);
      }
      const std::int64_t target = samples.front().step + gap(random);
      const double expected = p(target) + 7;
      // fp32 values times weights that grow with the distance of the extrapolation.
      const double scale = std::abs(p(samples.front().step)) + std::abs(expected) + 1;
      EXPECT_NEAR(only_value(rule.value(samples, {.step = target}, one(7))), expected, 2e-3 * scale)
          << "order " << order << ", trial " << trial;
    }
  }
}

TEST(Rebuild_Value, FewerSamplesThanItsOrder_LowersTheOrder) {
  const Rebuild rule = Rebuild::parse("taylor:3", kOrigin);
  const std::vector<Sample> single = {{2, one(5)}};
  EXPECT_EQ(only_value(rule.value(single, {.step = 4}, one(1))), 6)
      << "one sample: the residual is held";
  const std::vector<Sample> pair = {{2, one(5)}, {1, one(4)}};
  EXPECT_EQ(only_value(rule.value(pair, {.step = 4}, one(1))), 8) << "two samples: a line";
}

TEST(Rebuild_Value, Bfloat16_ExtrapolatesInFloat) {
  const Rebuild rule = Rebuild::parse("linear", kOrigin).without_input();
  const std::vector<Sample> samples = {{11, one(1.0078125, at::kBFloat16)},
                                       {10, one(1.0, at::kBFloat16)}};
  const Hidden value = rule.value(samples, {.step = 13}, {});
  EXPECT_EQ(value[0].scalar_type(), at::kBFloat16);
  EXPECT_EQ(only_value(value), 1.0234375) << "1 + 3/128, which bf16 holds";
}

// Lagrange's form of the same polynomial, in long double.
TEST(ExtrapolationWeights_Steps, MatchLagrange) {
  const std::vector<std::int64_t> steps = {20, 17, 16, 9, 2};
  const std::vector<double> weights = extrapolation_weights(steps, 23);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    long double expected = 1;
    for (std::size_t j = 0; j < steps.size(); ++j) {
      if (j == i) continue;
      expected *=
          static_cast<long double>(23 - steps[j]) / static_cast<long double>(steps[i] - steps[j]);
    }
    EXPECT_NEAR(weights[i], static_cast<double>(expected), 1e-9);
  }
}

// newest + w · (newest − older), also on residuals; one sample alone is held.
TEST(Weighted, TwoSamples_ExtrapolateByTheWeight) {
  const std::vector<Sample> samples = {{7, one(5)}, {4, one(3)}};
  const RebuildAt at{.step = 9, .num_steps = 20, .weight = 0.25};
  EXPECT_FLOAT_EQ(only_value(Rebuild::weighted(false).value(samples, at, {})), 5.5);
  EXPECT_FLOAT_EQ(only_value(Rebuild::weighted(true).value(samples, at, one(10))), 15.5);
  EXPECT_FLOAT_EQ(only_value(Rebuild::weighted(false).value(std::span(samples).first(1), at, {})),
                  5);
}

// Guided predictions v = 2 + 3σ; newest first, as they are kept.
std::vector<Sample> linear_velocity(const std::vector<double>& sigmas,
                                    const std::vector<double>& latents) {
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    const Hidden kept = Rebuild::mean_velocity(1).keep(one(latents[i]), one(2 + 3 * sigmas[i]));
    samples.insert(samples.begin(), {static_cast<std::int64_t>(i), kept, sigmas[i]});
  }
  return samples;
}

// Where z has moved by the integral of v, every span finds J = −(dv/dσ)/2: the mean of v over the
// next step is v at its start and half of what v changes in it.
TEST(MeanVelocity, ExactPath_IsTheMeanFromTheNewestOn) {
  const auto z = [](double sigma) { return 2 * sigma + 1.5 * sigma * sigma; };
  const std::vector<Sample> samples = linear_velocity({1, 0.75, 0.625}, {z(1), z(0.75), z(0.625)});
  const Rebuild rule = Rebuild::mean_velocity(3);
  for (const double span : {1.0, 2.0, 3.0}) {
    const RebuildAt at{.step = 3, .weight = span, .sigma = 0.25, .next_sigma = 0.125};
    EXPECT_FLOAT_EQ(only_value(rule.value(samples, at, one(z(0.25)))),
                    2 + 3 * 0.625 + 1.5 * (0.125 - 0.25))
        << "span " << span;
  }
}

// Euler's path of n equal steps stays behind the integral: J = −(dv/dσ)(n − 1)/(2n), by hand.
TEST(MeanVelocity, EulersPath_SpanOneHolds_LongerOnesApproachHalf) {
  const std::vector<Sample> samples = linear_velocity({1, 0.75, 0.5}, {10, 8.75, 7.6875});
  const Hidden z = one(7.6875 - 0.25 * 3.5);
  const double expected[] = {3.5, 3.5 - 0.75 * 0.25, 3.5 - 1 * 0.25, 3.5 - 1 * 0.25};
  const Rebuild rule = Rebuild::mean_velocity(4);
  for (int span = 1; span <= 4; ++span) {
    const RebuildAt at{.weight = static_cast<double>(span), .sigma = 0.25, .next_sigma = 0};
    EXPECT_FLOAT_EQ(only_value(rule.value(samples, at, z)), expected[span - 1])
        << "span " << span << ", of three steps";
  }
}

// Without a penalty, degree n through n + 1 samples is the polynomial through them.
TEST(Chebyshev, AlmostNoRidge_IsThePolynomial) {
  const std::vector<std::int64_t> steps = {12, 9, 5, 2};
  const std::vector<double> expected = extrapolation_weights(steps, 14);
  const std::vector<double> found =
      chebyshev_weights(steps, {.step = 14, .num_steps = 20}, {.degree = 3, .ridge = 1e-12});
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);
}

// numpy: x = 2·s/19 − 1; P = chebvander(x[[12, 9, 5, 2]], 3); P @ solve(P.T @ P + I,
// chebvander(x[14], 3))
TEST(Chebyshev, RidgeOne_EqualsNumpy) {
  const std::vector<std::int64_t> steps = {12, 9, 5, 2};
  const std::vector<double> found =
      chebyshev_weights(steps, {.step = 14, .num_steps = 20}, {.degree = 3, .ridge = 1});
  const std::vector<double> expected = {0.6274819384442731, 0.1999033023984843, -0.196101247417505,
                                        0.019979673246489527};
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-9);
}

TEST(RebuildName, OfRulesThatUsersCannotChoose_IsReadBack) {
  const Origin origin = Origin::file("trace");
  const Rebuild fit = Rebuild::chebyshev({.degree = 4, .window = 5, .ridge = 0.1, .blend = 0.7});
  for (const Rebuild& rule : {Rebuild::weighted(true), Rebuild::weighted(false), fit,
                              Rebuild::mean_velocity(1), Rebuild::mean_velocity(6)}) {
    const Rebuild read = Rebuild::from_name(rule.name(), origin);
    EXPECT_EQ(read.name(), rule.name());
    EXPECT_EQ(read.depth(), rule.depth());
    EXPECT_EQ(read.uses_input(), rule.uses_input());
    EXPECT_EQ(read.keeps_every_step(), rule.keeps_every_step());
    EXPECT_THROW((void)Rebuild::parse(rule.name(), origin), InputError);
  }
  EXPECT_EQ(Rebuild::from_name("linear", origin).name(), "linear");
  EXPECT_THROW((void)Rebuild::from_name("chebyshev:0;6;1;0.4", origin), InputError);
  EXPECT_THROW((void)Rebuild::from_name("mean_velocity:7", origin), InputError);
}

}  // namespace
}  // namespace bw
