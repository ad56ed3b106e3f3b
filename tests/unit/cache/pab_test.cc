// PAB's masks by hand from the rule of the released code:
//   reuse iff window_low < t < window_high and count % range != 0, the count of all steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/policy_table.h"

namespace bw::testing {
namespace {

RunShape shape_of(std::vector<std::string> stages) {
  RunShape shape{20, {2}};
  shape.stages = {{stages, stages}};
  return shape;
}

std::unique_ptr<CachePolicy> make_pab(const char* params, const RunShape& shape) {
  const Origin origin = Origin::flag("--cache pab");
  const CachePolicyInfo& info = find_cache_policy("pab", origin);
  return info.make(info.resolve(Json::parse(params), origin), origin, shape);
}

// Per step c or r of one stage of block 0, at timesteps 1000, 950, …, 50.
std::string mask(const CachePolicy& policy, std::size_t stage) {
  std::string letters;
  for (std::int64_t step = 0; step < 20; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = 20;
    context.timestep = 1000.0 - 50.0 * static_cast<double>(step);
    const BranchPlan plan = policy.begin(context).branches[0];
    letters += plan.reuse == Site::kStage && plan.stages[0][stage] ? 'r' : 'c';
  }
  return letters;
}

TEST(Pab_Mask, Ranges_CountAllStepsInsideTheWindow) {
  const RunShape shape =
      shape_of({"self_attention", "temporal_attention", "cross_attention", "feed_forward"});
  const auto policy = make_pab("{}", shape);
  // 100 < t < 850: t = 800 (step 4) … 150 (step 17).
  EXPECT_EQ(mask(*policy, 0), "cccccrcrcrcrcrcrcrcc") << "every 2nd";
  EXPECT_EQ(mask(*policy, 1), "cccccrrrcrrrcrrrcrcc") << "every 4th";
  EXPECT_EQ(mask(*policy, 2), "ccccrrcrrrrrcrrrrrcc") << "every 6th";
  EXPECT_EQ(mask(*policy, 3), std::string(20, 'c')) << "feed-forwards run";
}

TEST(Pab_Mask, Window_IsOpenAtBothEnds) {
  const auto policy = make_pab(R"({"window_low": 450, "window_high": 550, "spatial": 3})",
                               shape_of({"self_attention"}));
  EXPECT_EQ(mask(*policy, 0), std::string("ccccccccccrccccccccc")) << "t = 500 alone";
}

TEST(Pab_Needs, OnlyWhatIsReused_IsKept) {
  const auto policy = make_pab(R"({"cross": 0})", shape_of({"self_attention", "cross_attention"}));
  const std::vector<StageRef> expected = {{0, 0}, {1, 0}};
  EXPECT_EQ(policy->needs().reusable_stages, std::vector<std::vector<StageRef>>{expected});
}

TEST(Pab_Needs, ModelWithoutSuchStages_IsRefused) {
  try {
    (void)make_pab("{}", shape_of({"mix", "feed_forward"}));
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("has no stage"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("self_attention"));
  }
  EXPECT_THROW((void)make_pab(R"({"window_low": 900})", shape_of({"self_attention"})), UsageError);
}

}  // namespace
}  // namespace bw::testing
