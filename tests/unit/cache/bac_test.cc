// BAC: what each stage does at each step, and the bubbling union, by hand from the released code:
//   for w of the n feed-forwards with the largest error, deepest first:
//     C_w |= union of C_v over the feed-forwards v deeper than w
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

// Three blocks of attention and feed_forward; attention is computed at steps 0 and 3 everywhere.
std::unique_ptr<CachePolicy> make_bac(Json params, const std::vector<const char*>& feed_forwards) {
  std::string schedule;
  for (std::size_t block = 0; block < feed_forwards.size(); ++block) {
    const std::string at = "0." + std::to_string(block);
    schedule += block > 0 ? "/" : "";
    schedule += at + ".attention:0;3/" + at + ".feed_forward:" + feed_forwards[block];
  }
  params["schedule"] = schedule;
  params["losses"] = "0.0.feed_forward:2/0.1.feed_forward:3/0.2.feed_forward:1";
  return make_policy_from("bac", params, 6, {feed_forwards.size()});
}

std::string mask(const CachePolicy& policy, StageRef at) {
  std::string letters;
  for (std::int64_t step = 0; step < 6; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = 6;
    const BranchPlan plan = policy.begin(context).branches[1];
    letters += plan.reuse == Site::kStage && plan.stages[at.block][at.stage] ? 'r' : 'c';
  }
  return letters;
}

TEST(Bac_Schedule, EachStage_IsComputedAtItsOwnSteps) {
  const auto policy = make_bac({{"bubbling", 0}}, {"0;1", "0;2;4", "0;5"});
  EXPECT_EQ(mask(*policy, {0, 0}), "crrcrr");
  EXPECT_EQ(mask(*policy, {0, 1}), "ccrrrr");
  EXPECT_EQ(mask(*policy, {1, 1}), "crcrcr");
  EXPECT_EQ(mask(*policy, {2, 1}), "crrrrc");
}

TEST(Bac_Union, TheFeedForwardWithTheLargestError_FollowsTheDeeperOnes) {
  // Block 1 (error 3) alone: its {0, 2, 4} gets block 2's {0, 5}. Attention is never changed.
  const auto policy = make_bac({{"bubbling", 1}}, {"0;1", "0;2;4", "0;5"});
  EXPECT_EQ(mask(*policy, {0, 1}), "ccrrrr");
  EXPECT_EQ(mask(*policy, {1, 1}), "crcrcc");
  EXPECT_EQ(mask(*policy, {2, 1}), "crrrrc");
  EXPECT_EQ(mask(*policy, {1, 0}), "crrcrr");
}

TEST(Bac_Union, Deepest_GoesFirst) {
  // Blocks 1 and 0: block 0 gets what block 1 has become.
  const auto policy = make_bac({{"bubbling", 2}}, {"0;1", "0;2", "0;5"});
  EXPECT_EQ(mask(*policy, {1, 1}), "crcrrc");
  EXPECT_EQ(mask(*policy, {0, 1}), "cccrrc");
}

TEST(Bac_Needs, StageThatIsAlwaysComputed_IsNotKept) {
  const auto policy = make_bac({{"bubbling", 0}}, {"0;1;2;3;4;5", "0", "0"});
  const std::vector<StageRef> kept = {{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1}};
  EXPECT_EQ(policy->needs().reusable_stages, std::vector<std::vector<StageRef>>{kept});
}

TEST(Bac_Table, StepThatIsNone_IsRefused) {
  for (const char* steps : {"0;6", "0;1.5", "-1", "-"}) {
    EXPECT_THAT(
        [&] {
          (void)make_bac(Json::object(), {"0", steps, "0"});
        },
        ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("row '0.1.feed_forward'")))
        << steps;
  }
}

TEST(Bac_Identity, OtherNumberOfUpdates_IsRefused) {
  RunShape shape{2, {1}};
  shape.stages = {{{"attention"}}};
  shape.identity = {{"steps", "2"}};
  const Json params = {{"schedule", "0.0.attention:0"}, {"made_for", "steps=2;updates=50%"}};
  const Origin origin = Origin::flag("--cache bac");
  const CachePolicyInfo& info = find_cache_policy("bac", origin);
  EXPECT_NO_THROW((void)info.make(params, origin, shape));
  Json other = params;
  other["updates"] = "2";
  EXPECT_THAT(
      [&] { (void)info.make(other, origin, shape); },
      ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("updates=50% (this run: 2)")));
}

}  // namespace
}  // namespace bw::testing
