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

TEST(Blockcaching_Table, BlockThatItLacks_IsNamed) {
  EXPECT_THAT([] { (void)make_blockcaching("0.0:-;0;0", 1, 3); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row '0.1'")));
}

}  // namespace
}  // namespace bw::testing
