// TeaCache's decisions on scripted changes, by hand from the rule
//   acc += p(d); acc < threshold ? reuse : (compute; acc = 0)
// of the released code, with the first and the last step computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

std::unique_ptr<CachePolicy> make_teacache(const char* params, std::int64_t num_steps) {
  return make_policy_from("teacache", Json::parse(params), num_steps);
}

Script always(double cond, double uncond) {
  return [cond, uncond](std::int64_t) { return Distances{cond, uncond}; };
}

TEST(Teacache_Sum, ConstantChange_ReusesUntilTheSumReachesTheThreshold) {
  // 0.04, 0.08 are below 0.1; 0.12 is not: computed, and the sum starts at 0 again.
  const auto policy = make_teacache(R"({"threshold": 0.1})", 12);
  const Played played = play(*policy, 12, always(0.04, 0.04));
  EXPECT_EQ(played.cond, "crrcrrcrrcrc");  // the last step is computed
  EXPECT_EQ(played.uncond, played.cond);
}

TEST(Teacache_Sum, EqualToTheThreshold_Computes) {
  const auto policy = make_teacache(R"({"threshold": 0.25})", 8);
  EXPECT_EQ(play(*policy, 8, always(0.125, 9)).cond, "crcrcrcc");  // 0.125, then 0.25: not below
}

TEST(Teacache_Sum, ZeroThreshold_NeverReuses) {
  const auto policy = make_teacache(R"({"threshold": 0})", 6);
  EXPECT_EQ(play(*policy, 6, always(0, 0)).cond, "cccccc");
}

TEST(Teacache_Verdict, TheConditionalBranchDecidesForBoth) {
  const auto policy = make_teacache(R"({"threshold": 0.1})", 8);
  const Played played = play(*policy, 8, always(0.06, 9));
  EXPECT_EQ(played.cond, "crcrcrcc");
  EXPECT_EQ(played.uncond, played.cond);
}

TEST(Teacache_Retained, FirstAndLastSteps_AreComputed) {
  const auto policy = make_teacache(R"({"threshold": 9, "retain_first": 3, "retain_last": 2})", 9);
  EXPECT_EQ(play(*policy, 9, always(0.01, 0.01)).cond, "cccrrrrcc");
}

TEST(Teacache_Polynomial, RescalesTheChange) {
  // p(x) = 10·x² + 2·x + 0.01 at x = 0.1 is 0.31: three fit below 1.
  const auto policy = make_teacache(R"({"threshold": 1, "polynomial": "10;2;0.01"})", 10);
  EXPECT_EQ(play(*policy, 10, always(0.1, 0.1)).cond, "crrrcrrrcc");
}

TEST(Teacache_Polynomial, BelowZero_CountsAsNoChange) {
  const auto policy = make_teacache(R"({"threshold": 1, "polynomial": "1;-5"})", 6);
  EXPECT_EQ(play(*policy, 6, always(0.1, 0.1)).cond, "crrrrc");
}

TEST(Teacache_Params, BadPolynomial_IsRefused) {
  for (const char* params : {R"({"polynomial": "a;1"})", R"({"polynomial": "1;;2"})",
                             R"({"polynomial": ""})", R"({"polynomial": "1;inf"})"}) {
    EXPECT_THROW((void)make_teacache(params, 5), UsageError) << params;
  }
}

}  // namespace
}  // namespace bw::testing
