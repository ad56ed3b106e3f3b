// D2Cache's decisions and weights on scripted changes, by hand from the rule: TeaCache's steps, and
//   R + s (R − R_prev),  s = (error accumulated so far) / (error accumulated over the interval of
//   the last computed step)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "early_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::unique_ptr<CachePolicy> make_d2cache(const char* params, std::int64_t num_steps) {
  return make_policy_from("d2cache", Json::parse(params), num_steps);
}

std::vector<EarlySignal> changes(const std::vector<double>& values) {
  std::vector<EarlySignal> signals;
  for (const double value : values) signals.push_back({.distance = value});
  return signals;
}

TEST(D2cache_Weight, IsTheSumInUnitsOfTheIntervalBefore) {
  const auto policy = make_d2cache(R"({"threshold": 0.1})", 9);
  // 0.04, 0.09, then 0.12: computed, and the interval is 0.12. 0.06 / 0.12, 0.09 / 0.12, then 0.11:
  // computed, and the interval is 0.11. 0.055 / 0.11. The last step is computed.
  const PlayedEarly played =
      play_early(*policy, changes({0, 0.04, 0.05, 0.03, 0.06, 0.03, 0.02, 0.055, 0.01}));
  EXPECT_EQ(played.letters, "crrcrrcrc");
  EXPECT_THAT(played.weights, ElementsAre(0, 0, DoubleNear(0.5, 1e-9), DoubleNear(0.75, 1e-9),
                                          DoubleNear(0.5, 1e-9)))
      << "held until there is a second computed step";
}

TEST(D2cache_Weight, StepsComputedAnyway_AreIntervalsToo) {
  const auto policy = make_d2cache(R"({"threshold": 0.1, "retain_first": 3})", 5);
  const PlayedEarly played = play_early(*policy, changes({0, 0.04, 0.05, 0.03, 0.01}));
  EXPECT_EQ(played.letters, "cccrc");
  EXPECT_THAT(played.weights, ElementsAre(DoubleNear(0.6, 1e-9))) << "0.03 / 0.05";
}

TEST(D2cache_Weight, IntervalWithoutChange_Holds) {
  const auto policy = make_d2cache(R"({"threshold": 0.1, "retain_first": 2})", 4);
  EXPECT_THAT(play_early(*policy, changes({0, 0, 0.05, 0})).weights, ElementsAre(0));
}

TEST(D2cache_Weight, Polynomial_RescalesBoth) {
  // p(x) = 2x: 0.08 is below 0.1, 0.16 is not and is the interval; 0.08 / 0.16.
  const auto policy = make_d2cache(R"({"threshold": 0.1, "polynomial": "2;0"})", 5);
  const PlayedEarly played = play_early(*policy, constant_change(5, 0.04));
  EXPECT_EQ(played.letters, "crcrc");
  EXPECT_THAT(played.weights, ElementsAre(0, DoubleNear(0.5, 1e-9)));
}

TEST(D2cache_Experts, ANewExpert_StartsAfresh) {
  const auto policy = make_d2cache(R"({"threshold": 0.1})", 8);
  // The second expert's first step is computed, and there is no interval before it.
  const PlayedEarly played =
      play_early(*policy, constant_change(8, 0.06), {0, 0, 0, 0, 1, 1, 1, 1});
  EXPECT_EQ(played.letters, "crcrcrcc");
  EXPECT_THAT(played.weights, ElementsAre(0, DoubleNear(0.5, 1e-9), 0));
}

}  // namespace
}  // namespace bw::testing
