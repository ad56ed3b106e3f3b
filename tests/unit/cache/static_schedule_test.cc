#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

TEST(StaticSchedule_Begin, Steps_FollowTheList) {
  const struct {
    const char* reason;
    const char* params;
    const char* expected;
  } rows[] = {
      {"default: every second", "{}", "crcrcrcrcr"},
      {"every third", R"({"every": 3})", "crrcrrcrrc"},
      {"every step: nothing is reused", R"({"every": 1})", "cccccccccc"},
      {"a list overrules every", R"({"every": 2, "steps": "3+4+7"})", "cccrrccrcc"},
      {"ranges", R"({"steps": "2-4+9"})", "ccrrrccccr"},
      {"a JSON list", R"({"steps": [1, 8]})", "crccccccrc"},
      {"a single step", R"({"steps": 5})", "cccccrcccc"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto policy = make_policy_from("static", Json::parse(row.params), 10);
    const Played played = play(*policy, 10, falls_below_at(0));
    EXPECT_EQ(played.cond, row.expected);
    EXPECT_EQ(played.uncond, row.expected);
  }
}

TEST(StaticSchedule_Begin, BlockSite_ReusesTheChosenBlocks) {
  const auto policy = make_policy_from("static", {{"site", "block"}, {"blocks", "1+2"}}, 10);
  EvaluationContext context;
  context.step = 1;
  context.num_steps = 10;
  EXPECT_THAT(policy->begin(context).branches[0].blocks,
              ::testing::ElementsAre(false, true, true, false));
  EXPECT_THAT(policy->needs().reusable_blocks.front(), ::testing::ElementsAre(1, 2));
}

TEST(StaticSchedule_Begin, StageSite_ReusesTheChosenStagesOfTheChosenBlocks) {
  const auto policy = make_policy_from(
      "static", {{"site", "stage"}, {"stages", "feed_forward"}, {"blocks", "1+2"}}, 10);
  EvaluationContext context;
  context.step = 1;
  context.num_steps = 10;
  const std::vector<bool> kNothing = {false, false};
  const std::vector<bool> kFeedForward = {false, true};
  const BranchPlan plan = policy->begin(context).branches[1];
  EXPECT_EQ(plan.reuse, Site::kStage);
  EXPECT_THAT(plan.stages, ::testing::ElementsAre(kNothing, kFeedForward, kFeedForward, kNothing));
  EXPECT_THAT(policy->needs().reusable_stages.front(),
              ::testing::ElementsAre(StageRef{1, 1}, StageRef{2, 1}));
  const auto all = make_policy_from("static", {{"site", "stage"}}, 10);
  EXPECT_EQ(all->needs().reusable_stages.front().size(), 8U) << "every stage of every block";
}

TEST(StaticSchedule_Begin, GuidedSite_LeavesTheBranchesAlone) {
  const auto policy = make_policy_from("static", {{"site", "guided"}}, 10);
  EvaluationContext context;
  context.step = 1;
  context.num_steps = 10;
  EXPECT_TRUE(policy->begin(context).reuse_guided);
  EXPECT_EQ(policy->begin(context).branches[0].reuse, Site::kNone);
}

TEST(StaticSchedule_Params, BadValue_NamesFieldAndLimit) {
  const struct {
    const char* reason;
    const char* params;
    const char* expected;
  } rows[] = {
      {"zero", R"({"every": 0})", "every: must satisfy 1 <= x"},
      {"step beyond the run", R"({"steps": "3+10"})", "step 10 does not exist; the run has 10"},
      {"list syntax", R"({"steps": "3,4"})", "steps: must be a list of steps"},
      {"backward range", R"({"steps": "5-2"})", "steps: must be a list of steps"},
      {"blocks without block site", R"({"blocks": "0+1"})", "needs site=block"},
      {"residual of a prediction", R"({"site": "guided", "rebuild": "residual"})",
       "rebuild: a prediction"},
      {"site", R"({"site": "stak"})", "did you mean 'stack'"},
      {"stages without stage site", R"({"stages": "attention"})", "stages: 'attention' needs site"},
      {"residual of a stage", R"({"site": "stage", "rebuild": "residual"})",
       "rebuild: a stage's output"},
      {"unknown stage", R"({"site": "stage", "stages": "atention"})", "did you mean 'attention'"},
      {"stage list", R"({"site": "stage", "stages": "attention++feed_forward"})",
       "stages: must be all or names"},
      {"a stage twice", R"({"site": "stage", "stages": "attention+attention"})",
       "stages: must be all or names"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    try {
      (void)make_policy_from("static", Json::parse(row.params), 10);
      ADD_FAILURE() << "accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(row.expected));
    }
  }
}

}  // namespace
}  // namespace bw::testing
