// SmoothCache's schedules by hand from the released builder:
//   at a computed step the largest lag whose error is below α; its steps reuse; the step after them
//   computes; first and last step compute.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/policy_table.h"

namespace bw::testing {
namespace {

std::unique_ptr<CachePolicy> make_smoothcache(const Json& params, std::int64_t num_steps,
                                              const std::vector<std::string>& stages) {
  RunShape shape{num_steps, {2}};
  shape.stages = {{stages, stages}};
  return find_cache_policy("smoothcache", Origin::flag("--cache"))
      .make(params, Origin::flag("--cache"), shape);
}

// Of one stage of block 1.
std::string mask(const CachePolicy& policy, std::int64_t num_steps, std::size_t stage) {
  std::string letters;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = num_steps;
    const BranchPlan plan = policy.begin(context).branches[1];
    letters += plan.reuse == Site::kStage && plan.stages[1][stage] ? 'r' : 'c';
  }
  return letters;
}

TEST(Smoothcache_Schedule, LongestLagBelowTheThreshold_IsTaken) {
  // Step 0: lag 2 (0.09) is below 0.1, so 1 and 2 reuse. Step 3: lag 2 is 0.2, lag 1 is 0.05: 4
  // reuses. Step 5: lag 2 is absent (steps end), lag 1 is 0.05: 6 would reuse, but it is the last.
  const char* table = "a.1:0.05;0.05;0.05;0.05;0.05;0.05/a.2:0.09;0.2;0.2;0.2;0.2";
  const auto policy = make_smoothcache({{"errors", table}, {"max_lag", 2}}, 7, {"a"});
  EXPECT_EQ(mask(*policy, 7, 0), "crrcrcc");
}

TEST(Smoothcache_Schedule, OnlyTheFurthestLag_IsTested) {
  // Lag 1 from step 0 is far above, lag 2 below: both steps reuse all the same, as in the code.
  const auto policy =
      make_smoothcache({{"errors", "a.1:9;9;9;9/a.2:0.01;9;9"}, {"max_lag", 2}}, 5, {"a"});
  EXPECT_EQ(mask(*policy, 5, 0), "crrcc");
}

TEST(Smoothcache_Schedule, EqualToTheThresholdAndUnknown_Compute) {
  const auto policy = make_smoothcache(
      {{"errors", "a.1:0.25;-;0.125;0.25"}, {"max_lag", 1}, {"threshold", 0.25}}, 5, {"a"});
  EXPECT_EQ(mask(*policy, 5, 0), "cccrc");
}

TEST(Smoothcache_Schedule, KindsOfStages_HaveTheirOwn) {
  const char* table = "a.1:0.01;0.01;0.01;0.01/b.1:1;1;0.01;1";
  const auto policy = make_smoothcache({{"errors", table}, {"max_lag", 1}}, 5, {"a", "b"});
  EXPECT_EQ(mask(*policy, 5, 0), "crcrc");
  EXPECT_EQ(mask(*policy, 5, 1), "cccrc");
  const std::vector<StageRef> all = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  EXPECT_EQ(policy->needs().reusable_stages, std::vector<std::vector<StageRef>>{all});
}

TEST(Smoothcache_Needs, KindThatIsNeverReused_IsNotKept) {
  const char* table = "a.1:0.01;0.01;0.01;0.01/b.1:1;1;1;1";
  const auto policy = make_smoothcache({{"errors", table}, {"max_lag", 1}}, 5, {"a", "b"});
  const std::vector<StageRef> first = {{0, 0}, {1, 0}};
  EXPECT_EQ(policy->needs().reusable_stages, std::vector<std::vector<StageRef>>{first});
}

TEST(Smoothcache_Table, StageOrLagThatItLacks_IsNamed) {
  EXPECT_THAT(
      [] {
        (void)make_smoothcache({{"errors", "a.1:0;0"}, {"max_lag", 1}}, 3, {"b"});
      },
      ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row 'b.1'")));
  EXPECT_THAT(
      [] {
        (void)make_smoothcache({{"errors", "a.1:0;0"}, {"max_lag", 2}}, 3, {"a"});
      },
      ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row 'a.2'")));
}

TEST(Smoothcache_Needs, ModelWithoutStages_IsRefused) {
  EXPECT_THAT(
      [] {
        (void)make_smoothcache({{"errors", "a.1:0;0"}}, 3, {});
      },
      ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("has no stage")));
}

}  // namespace
}  // namespace bw::testing
