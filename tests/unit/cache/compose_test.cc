// Two policies in one run, by hand: which of them has the word at a step, what each is told, and
// what is kept.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kEveryThirdBranch = "static&every=3&site=branch";

char letter(Site site) {
  switch (site) {
    case Site::kBranch:
      return 'B';
    case Site::kStage:
      return 's';
    case Site::kBlock:
      return 'k';
    default:
      return site == Site::kNone ? 'c' : '?';
  }
}

std::string letters_of(const CachePolicy& policy, std::int64_t num_steps) {
  std::string letters;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const EvaluationContext context = guided_step(step, num_steps);
    const EvaluationPlan plan = policy.begin(context);
    EXPECT_EQ(plan.branches[0].reuse, plan.branches[1].reuse) << step;
    letters += plan.reuse_guided ? 'g' : letter(plan.branches[0].reuse);
  }
  return letters;
}

TEST(Compose_Plan, BlockPolicyHasTheStepsThatTheStepPolicyComputes) {
  struct Row {
    const char* reason;
    Json params;
    const char* letters;
  };
  const Row rows[] = {
      {"of 0, 3, 6, 9 the odd ones reuse stages",
       {{"step", kEveryThirdBranch}, {"block", "static&every=2&site=stage"}},
       "cBBsBBcBBsBB"},
      {"a preset that is a name: TaylorSeer computes every fifth step",
       {{"step", "static&every=2&site=branch"}, {"block", "taylorseer"}, {"rebuild", "linear"}},
       "cBsBsBsBsBcB"},
      {"single blocks",
       {{"step", kEveryThirdBranch}, {"block", "static&every=2&site=block"}},
       "cBBkBBcBBkBB"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(letters_of(*make_policy_from("compose", row.params, 12), 12), row.letters)
        << row.reason;
  }
}

// At step 3 some blocks were reused; step 4 takes the prediction of step 3 all the same.
TEST(Compose_Run, PartlyReusedEvaluation_IsKept) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 6}, &counts);
  const CachePolicyInfo& info = find_cache_policy("compose", Origin::flag("--cache"));
  const Json params = {{"step", kEveryThirdBranch},
                       {"block", "static&every=2&site=block&blocks=0"}};
  const RunResult run = run_subject(subject, make_policy_for(subject, info, params));
  EXPECT_EQ(run.report.evaluations[3].branches[0].done.reuse, Site::kBlock);
  EXPECT_EQ(run.report.evaluations[4].branches[0].done.reuse, Site::kBranch);
  EXPECT_TRUE(at::equal(run.cond[4], run.cond[3]));
  EXPECT_FALSE(at::equal(run.cond[4], run.cond[0]));
}

std::string message_of(const Json& params) {
  try {
    (void)make_policy_from("compose", params, 12);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Compose, WhatCannotBeComposed_IsRefusedWithItsReason) {
  EXPECT_THAT(message_of({{"step", "pab"}}), HasSubstr("reuses at stage; a step policy"));
  EXPECT_THAT(message_of({{"step", "teacache"}}), HasSubstr("reuses at middle; a step policy"));
  EXPECT_THAT(message_of({{"step", "bwcache"}}), HasSubstr("measures features"));
  EXPECT_THAT(message_of({{"block", "easycache"}}), HasSubstr("reuses at branch; a block policy"));
  EXPECT_THAT(message_of({{"block", "compose"}}), HasSubstr("cannot be part of a composition"));
  EXPECT_THAT(message_of({{"step", "none"}}), HasSubstr("cannot be part of a composition"));
  EXPECT_THAT(message_of({{"step", "easycach"}}), HasSubstr("easycache"));
  EXPECT_THAT(message_of({{"step", "easycache&treshold=1"}}), HasSubstr("threshold"));
  EXPECT_THAT(message_of({{"step", "static&site=stack"}, {"block", "delta-dit"}}),
              HasSubstr("the step policy rebuilds by output, the block policy by residual; give "
                        "one predictor"));
  EXPECT_THAT(message_of({{"step", "spectrum"}, {"block", "delta-dit"}}),
              HasSubstr("part of the method"));
}

TEST(Compose, Predictor_TakesThePlaceOfBoth) {
  const Json params = {
      {"step", "static&site=stack"}, {"block", "delta-dit"}, {"rebuild", "linear"}};
  EXPECT_EQ(make_policy_from("compose", params, 12)->needs().rebuild.name(), "linear");
  EXPECT_THAT(message_of({{"rebuild", "cubic"}}), HasSubstr("rebuild"));
}

}  // namespace
}  // namespace bw::testing
