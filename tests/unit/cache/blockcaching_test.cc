// Block Caching's schedules by hand from eq. 7 of the paper: a block is held while the sum of its
// changes since it was computed is below the threshold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

// Of one block of the conditional branch.
std::string mask(const CachePolicy& policy, std::int64_t num_steps, std::size_t block) {
  std::string letters;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = num_steps;
    const BranchPlan plan = policy.begin(context).branches[0];
    letters += plan.reuse == Site::kBlock && plan.blocks[block] ? 'r' : 'c';
  }
  return letters;
}

std::unique_ptr<CachePolicy> make_blockcaching(const char* changes, double threshold,
                                               std::int64_t num_steps) {
  return make_policy_from("blockcaching", {{"changes", changes}, {"threshold", threshold}},
                          num_steps, {2});
}

TEST(Blockcaching_Schedule, EachBlock_IsHeldUntilItsOwnSumReachesTheThreshold) {
  // Block 0: 0.25, then 0.5 reaches 0.5. Block 1: 0.125, 0.25, 0.375, then 0.5.
  const char* table = "0.0:-;0.25;0.25;0.25;0.25;0.25/0.1:-;0.125;0.125;0.125;0.125;0.125";
  const auto policy = make_blockcaching(table, 0.5, 6);
  EXPECT_EQ(mask(*policy, 6, 0), "crcrcr");
  EXPECT_EQ(mask(*policy, 6, 1), "crrrcr");
  EXPECT_EQ(policy->needs().reusable_blocks, (std::vector<std::vector<std::size_t>>{{0, 1}}));
}

TEST(Blockcaching_Schedule, ChangeAtTheComputedStep_DoesNotCount) {
  // 0.9 at step 2 makes it computed; the sum starts with step 3.
  const auto policy = make_blockcaching("0.0:-;0.1;0.9;0.3;0.1/0.1:-;9;9;9;9", 0.5, 5);
  EXPECT_EQ(mask(*policy, 5, 0), "crcrr");
  EXPECT_EQ(mask(*policy, 5, 1), "ccccc");
  EXPECT_EQ(policy->needs().reusable_blocks, (std::vector<std::vector<std::size_t>>{{0}}));
}

TEST(Blockcaching_Schedule, ZeroThresholdAndUnknownChange_Compute) {
  EXPECT_EQ(mask(*make_blockcaching("0.0:-;0;0/0.1:-;0;0", 0, 3), 3, 0), "ccc");
  EXPECT_EQ(mask(*make_blockcaching("0.0:-;0;-;0/0.1:-;0;0;0", 1, 4), 4, 0), "crcr");
}

// Two blocks; block 0 is held three steps after each computed one, block 1 never.
std::unique_ptr<CachePolicy> make_corrected(const Json& more = Json::object()) {
  Json params = {{"changes", "0.0:-;0.1;0.1;0.1;9;0.1/0.1:-;9;9;9;9;9"},
                 {"correction", "scale_shift"},
                 {"max_lag", 2},
                 {"corrections",
                  "0.0.1.scale:-;1.1;1.2;1.3;1.4;1.5/0.0.1.shift:-;0.1;0.2;0.3;0.4;0.5/"
                  "0.0.2.scale:-;-;2.2;2.3;2.4;2.5/0.0.2.shift:-;-;1.2;1.3;1.4;1.5/"
                  "0.1.1.scale:-;9;9;9;9;9/0.1.1.shift:-;9;9;9;9;9/"
                  "0.1.2.scale:-;9;9;9;9;9/0.1.2.shift:-;9;9;9;9;9"}};
  params.update(more);
  return make_policy_from("blockcaching", params, 6, {2});
}

// What the conditional branch's block 0 is corrected by at each step; at `forbidden` a guard lets
// nothing be reused.
std::vector<ScaleShift> corrections_of(CachePolicy& policy, std::int64_t forbidden = -1) {
  std::vector<ScaleShift> corrections;
  for (std::int64_t step = 0; step < 6; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    const EvaluationPlan plan = policy.begin(context);
    Observation seen;
    for (const Branch branch : kBranches) {
      BranchObservation& done = seen.branches[index_of(branch)];
      done.ran = true;
      if (step != forbidden) done.done = plan.branches[index_of(branch)];
    }
    const BranchPlan& cond = plan.branches[0];
    EXPECT_TRUE(cond.corrections.empty() || cond.corrections[1] == ScaleShift()) << "computed";
    corrections.push_back(cond.corrections.empty() ? ScaleShift() : cond.corrections[0]);
    EXPECT_EQ(plan.branches[1], cond);
    policy.observe(context, seen);
  }
  return corrections;
}

TEST(Blockcaching_Correction, IsThatOfTheStepAndTheLag) {
  // Step 3 is three steps from the computed one, beyond max_lag: held as it is. Step 4 is computed.
  const auto policy = make_corrected();
  EXPECT_EQ(mask(*policy, 6, 0), "crrrcr");
  const ScaleShift none;
  EXPECT_THAT(corrections_of(*policy),
              ::testing::ElementsAre(none, ScaleShift{1.1, 0.1}, ScaleShift{2.2, 1.2}, none, none,
                                     ScaleShift{1.5, 0.5}));
}

TEST(Blockcaching_Correction, AfterAGuard_TheLagCountsFromWhatWasComputed) {
  const auto policy = make_corrected();
  EXPECT_THAT(corrections_of(*policy, 2)[3], (ScaleShift{1.3, 0.3}));
}

TEST(Blockcaching_Correction, UnknownFit_IsNone) {
  const auto policy = make_corrected({{"max_lag", 1},
                                      {"corrections",
                                       "0.0.1.scale:-;-;1;1;1;1/0.0.1.shift:-;3;1;1;1;1/"
                                       "0.1.1.scale:-;9;9;9;9;9/0.1.1.shift:-;9;9;9;9;9"}});
  EXPECT_EQ(corrections_of(*policy)[1], ScaleShift());
}

TEST(Blockcaching_Correction, MissingFits_SayHowToMakeThem) {
  EXPECT_THAT(
      [] {
        (void)make_corrected({{"corrections", ""}});
      },
      ::testing::ThrowsMessage<UsageError>(
          ::testing::HasSubstr("corrections: is empty: correction=scale_shift needs")));
  EXPECT_THAT(
      [] {
        (void)make_corrected({{"max_lag", 3}});
      },
      ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row '0.0.3.scale'")));
}

TEST(Blockcaching_Table, BlockThatItLacks_IsNamed) {
  EXPECT_THAT([] { (void)make_blockcaching("0.0:-;0;0", 1, 3); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row '0.1'")));
}

}  // namespace
}  // namespace bw::testing
