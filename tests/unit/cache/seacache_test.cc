// SeaCache's decisions on scripted changes, by hand from the rule: TeaCache's, on an input from
// which noise has been filtered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "early_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

std::unique_ptr<CachePolicy> make_seacache(const char* params, std::int64_t num_steps) {
  return make_policy_from("seacache", Json::parse(params), num_steps);
}

TEST(Seacache_Sum, ConstantChange_ReusesUntilTheSumReachesTheThreshold) {
  // 0.125 and 0.25 are below 0.375, the sum of three is not.
  const auto policy = make_seacache(R"({"threshold": 0.375})", 9);
  EXPECT_EQ(play_early(*policy, constant_change(9, 0.125)).letters, "crrcrrcrc");
}

TEST(Seacache_Sum, ZeroThreshold_NeverReuses) {
  const auto policy = make_seacache(R"({"threshold": 0})", 4);
  EXPECT_EQ(play_early(*policy, constant_change(4, 0)).letters, "cccc");
}

TEST(Seacache_Retained, FirstAndLastSteps_AreComputed) {
  const auto policy = make_seacache(R"({"threshold": 9, "retain_first": 3, "retain_last": 2})", 9);
  EXPECT_EQ(play_early(*policy, constant_change(9, 0.01)).letters, "cccrrrrcc");
}

TEST(Seacache_Needs, TheInput_IsFilteredAndComparedWithTheStepBefore) {
  const CacheNeeds needs = make_seacache("{}", 10)->needs();
  EXPECT_EQ(needs.signal.content_spectrum, 3);
  EXPECT_EQ(needs.signal.kind, SignalKind::kAttentionInput);
  EXPECT_FALSE(needs.signal.against_computed);
}

}  // namespace
}  // namespace bw::testing
