// Δ-DiT's masks by hand: rear blocks before the boundary, front blocks from it on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

std::unique_ptr<CachePolicy> make_delta(const char* params, std::int64_t steps,
                                        std::size_t blocks) {
  const Origin origin = Origin::flag("--cache delta-dit");
  const CachePolicyInfo& info = find_cache_policy("delta-dit", origin);
  return info.make(info.resolve(Json::parse(params), origin), origin, {steps, {blocks}});
}

// Per step the blocks: c or r.
std::vector<std::string> masks(const CachePolicy& policy, std::int64_t steps, std::size_t blocks) {
  std::vector<std::string> all;
  for (std::int64_t step = 0; step < steps; ++step) {
    EvaluationContext context;
    context.step = step;
    const BranchPlan plan = policy.begin(context).branches[1];
    std::string letters(blocks, 'c');
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) letters[i] = plan.blocks[i] ? 'r' : 'c';
    all.push_back(letters);
  }
  return all;
}

TEST(DeltaDit_Mask, RearFirstThenFront) {
  const auto policy = make_delta(R"({"interval": 2, "blocks": "50%", "boundary": "50%"})", 8, 6);
  EXPECT_THAT(masks(*policy, 8, 6),
              ::testing::ElementsAre("cccccc", "cccrrr", "cccccc", "cccrrr",  //
                                     "cccccc", "rrrccc", "cccccc", "rrrccc"));
}

TEST(DeltaDit_Mask, IntervalThree_AbsoluteAmounts) {
  const auto policy = make_delta(R"({"interval": 3, "blocks": "4", "boundary": "3"})", 6, 5);
  EXPECT_THAT(masks(*policy, 6, 5), ::testing::ElementsAre("ccccc", "crrrr", "crrrr",  //
                                                           "ccccc", "rrrrc", "rrrrc"));
}

TEST(DeltaDit_Needs, BlocksOfBothRanges_AreKept) {
  EXPECT_THAT(make_delta(R"({"blocks": "2"})", 8, 6)->needs().reusable_blocks.front(),
              ::testing::ElementsAre(0, 1, 4, 5));
  EXPECT_THROW((void)make_delta(R"({"blocks": "7"})", 8, 6), UsageError);
}

}  // namespace
}  // namespace bw::testing
