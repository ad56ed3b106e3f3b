// DiCache's decisions and weights on scripted changes, by hand from the rule
//   acc += d; acc < threshold ? R2 + γ (R1 − R2) : (compute; acc = 0),  γ = clip(progress, 1, 2)
// with the first fifth and the last step computed. R2 + γ (R1 − R2) = R1 + (γ − 1)(R1 − R2): the
// weight is γ − 1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "early_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<CachePolicy> make_dicache(const char* params, std::int64_t num_steps) {
  return make_policy_from("dicache", Json::parse(params), num_steps);
}

TEST(Dicache_Sum, ConstantChange_ReusesUntilTheSumReachesTheThreshold) {
  // Steps 0 and 1 are a fifth of ten. Then 0.04 and 0.08 are below 0.1, 0.12 is not.
  const auto policy = make_dicache(R"({"threshold": 0.1})", 10);
  EXPECT_EQ(play_early(*policy, constant_change(10, 0.04)).letters, "ccrrcrrcrc");
}

TEST(Dicache_Sum, TheWarmUpsChanges_AreNotCounted) {
  const auto policy = make_dicache(R"({"threshold": 0.1, "retain_first": 4})", 8);
  EXPECT_EQ(play_early(*policy, constant_change(8, 0.09)).letters, "ccccrcrc");
}

TEST(Dicache_Sum, ZeroThresholdOrNoNumber_NeverReuses) {
  const auto policy = make_dicache(R"({"threshold": 0})", 6);
  EXPECT_EQ(play_early(*policy, constant_change(6, 0)).letters, "cccccc");
  const auto other = make_dicache(R"({"threshold": 9})", 6);
  EXPECT_EQ(play_early(*other, constant_change(6, std::nan(""))).letters, "cccccc");
}

TEST(Dicache_Gamma, Progress_IsClippedToOneAndTwo) {
  const auto policy = make_dicache(R"({"threshold": 9})", 9);
  std::vector<EarlySignal> cond = constant_change(9, 0.01);
  const std::optional<double> progress[] = {1.6, 2.5, 0.7, std::nullopt, std::nan(""), 2.0};
  for (std::size_t i = 0; i < 6; ++i) cond[2 + i].progress = progress[i];
  const PlayedEarly played = play_early(*policy, cond);
  EXPECT_EQ(played.letters, "ccrrrrrrc");
  EXPECT_THAT(played.weights, ElementsAre(DoubleNear(0.6, 1e-12), 1, 0, 0, 0, 1));
}

TEST(Dicache_Gamma, Flux_ClipsAtOneAndAHalf) {
  const Origin origin = Origin::flag("--cache");
  const Json params = preset_params(find_cache_policy("dicache", origin), "flux", origin);
  const auto policy = make_policy_from("dicache", params, 5);
  std::vector<EarlySignal> cond = constant_change(5, 0.01);
  for (EarlySignal& signal : cond) signal.progress = 1.9;
  EXPECT_THAT(play_early(*policy, cond).weights, ElementsAre(0.5, 0.5, 0.5));
}

TEST(Dicache_Params, ModelOfOneBlock_IsRefused) {
  try {
    (void)make_policy_from("dicache", Json::object(), 10, {1});
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("at least two blocks"));
  }
}

TEST(Dicache_Needs, TheFirstBlock_IsTheProbe) {
  const CacheNeeds needs = make_dicache("{}", 10)->needs();
  EXPECT_EQ(needs.middle.first, 1U);
  EXPECT_EQ(needs.rebuild.depth(), 2U);
  EXPECT_TRUE(needs.signal.progress && needs.signal.early && !needs.signal.against_computed);
}

}  // namespace
}  // namespace bw::testing
