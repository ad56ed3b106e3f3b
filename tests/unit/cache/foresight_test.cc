// Foresight's decisions on scripted changes per block, by hand from the rule
//   λ = m(W−1) + 0.1 m(W−2) + 0.01 m(W−3);  reuse while the latest m < γ λ, at N of R steps
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "block_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

constexpr double kUnread = 1e9;  // the block was reused, so nothing was measured

std::unique_ptr<CachePolicy> make_foresight(const Json& params, std::int64_t num_steps,
                                            std::size_t num_blocks) {
  return make_policy_from("foresight", params, num_steps, {num_blocks});
}

// The same for every block.
std::string letters(const Json& params, std::int64_t num_steps, double change) {
  const auto policy = make_foresight(params, num_steps, 1);
  return play_blocks(*policy, {.num_steps = num_steps, .num_blocks = 1},
                     [change](std::int64_t, std::size_t, std::int64_t) { return change; })
      .blocks.front();
}

TEST(Foresight_Verdict, EachBlock_IsComparedWithItsOwnWarmUp) {
  // 0: λ = 1 + 0.2 + 0.04 = 1.24, half of it 0.62. 1 is above, then 0.6 and 0.5 are below: steps 4,
  //    6 may reuse; 5, 7, 9 refresh. At 7 it is 0.7 again.
  // 1: λ = 1.11, half 0.555: below from step 4's measurement on.
  // 2: never changed: λ = 0, below which nothing is.
  const std::vector<std::vector<double>> changes = {
      {0, 4, 2, 1, 0.6, 0.5, kUnread, 0.7, 0.9, 1},
      {0, 1, 1, 1, 0.2, 0.2, kUnread, 0.2, kUnread, 0.2},
      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
  const auto policy = make_foresight(Json{{"warmup_steps", 4}}, 10, 3);
  const PlayedBlocks played = play_blocks(*policy, {.num_steps = 10, .num_blocks = 3},
                                          [&](std::int64_t step, std::size_t block, std::int64_t) {
                                            return changes[block][static_cast<std::size_t>(step)];
                                          });
  EXPECT_EQ(played.blocks[0], "ccccccrccc");
  EXPECT_EQ(played.blocks[1], "ccccccrcrc");
  EXPECT_EQ(played.blocks[2], "cccccccccc");
}

struct Row {
  const char* reason;
  Json params;
  double change;
  const char* expected;
};

TEST(Foresight_Rhythm, ConstantChange) {
  const Row rows[] = {
      // λ = 1.11 times the change.
      {"N 1, R 2", {{"warmup_steps", 4}, {"threshold", 1}}, 1, "ccccrcrcrc"},
      {"N 2, R 3",
       {{"warmup_steps", 4}, {"threshold", 1}, {"reuse_steps", 2}, {"refresh_interval", 3}},
       1,
       "ccccrrcrrc"},
      {"N 1, R 3",
       {{"warmup_steps", 4}, {"threshold", 1}, {"refresh_interval", 3}},
       1,
       "ccccrccrcc"},
      {"15 % of ten steps are two: λ is the change of step 1, and it is not below itself",
       {{"threshold", 1}},
       1,
       "cccccccccc"},
      {"just below", {{"threshold", 1.01}}, 1, "ccrcrcrcrc"},
      {"a warm-up of one is one of two",
       {{"warmup_steps", 1}, {"threshold", 1.01}},
       1,
       "ccrcrcrcrc"},
      {"threshold 0", {{"threshold", 0}}, 0, "cccccccccc"},
      {"no number", {{"threshold", 1e6}}, std::nan(""), "cccccccccc"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.reason);
    EXPECT_EQ(letters(row.params, 10, row.change), row.expected);
  }
}

TEST(Foresight_Params, AsManyReusedAsTheRhythmIsLong_IsRefused) {
  EXPECT_THROW((void)make_foresight(Json{{"reuse_steps", 2}}, 10, 1), UsageError);
}

}  // namespace
}  // namespace bw::testing
