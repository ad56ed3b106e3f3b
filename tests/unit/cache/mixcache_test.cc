// MixCache's choices by hand from the rule of mixcache.cc's header; four blocks, of which two are
// left out at the level of blocks. d is the change of every block per step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "block_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

// Changes per step; the last one goes on.
std::string levels(const Json& params, const std::vector<double>& changes,
                   const BlockRun& run = {}) {
  const auto policy = make_policy_from("mixcache", params, run.num_steps);
  const BlockScript script = [&](std::int64_t step, std::size_t, std::int64_t gap) {
    const std::size_t at = std::min(static_cast<std::size_t>(step), changes.size() - 1);
    return changes[at] * static_cast<double>(gap);
  };
  return play_blocks(*policy, run, script).levels;
}

// Nothing but the warm-up holds the gate, which opens after steps 2 and 3.
Json open_with(const Json& more = Json::object()) {
  Json params = {{"settle", 1}, {"unsettle", 1}, {"flat", 1}, {"retain_first", 2}, {"tail", 1}};
  params.update(more);
  return params;
}

TEST(Mixcache_Choice, SmallChange_LeavesStepsOut) {
  // Step: 1 − 0.08, then 1 − 0.16 · 1.5, 1 − 0.24 · 2, above the block's 0.5 − 0.04; three at most.
  EXPECT_EQ(levels(open_with(), {0.02}), "ccccssscsc");
}

TEST(Mixcache_Choice, AsErrorsGrow_BlocksAreLeftOut) {
  // Step 4: 1 − 0.22. Step 5: the stack's error is 0.11, score 1 − 0.44 · 1.5 = 0.34, the block's
  // 0.5 − 0.11 = 0.39. Step 6: the stack's 0.165 is too much; the block's 0.5 − 0.11 · 1.5 = 0.335
  // against 0.5 − 0.396 for the branch.
  EXPECT_EQ(levels(open_with(), {0.055}), "ccccsbbcsc");
}

TEST(Mixcache_Choice, RepeatedLevels_GiveWay) {
  // The stack's 0.15 is too much. Blocks: 0.5 − 0.3 (1 + 0.5 · times); at step 8 it was chosen
  // three times, −0.25, and the branch has 0.5 − 0.36.
  EXPECT_EQ(levels(open_with(), {0.15}), "ccccbbbcuc");
  EXPECT_EQ(levels(open_with(), {0.15}, {.guided = false}), "ccccbbbcbc")
      << "no branch to leave out";
}

TEST(Mixcache_Mixing, AfterABranchWasLeftOut_NothingElseIsUntilAFullStep) {
  // At step 9 the branch's error is 0.18; blocks would have been left out.
  EXPECT_EQ(levels(open_with(), {0.15}, {.num_steps = 11}), "ccccbbbcucc");
  // Where a held difference costs a tenth of a held step, it is held three times in a row: its
  // score is 0.5 − 0.15, and 0.5 − 0.15 · 2.5 after the full step, the block's 0.5 − 0.75.
  EXPECT_EQ(levels(open_with({{"cfg_weight", 0.1}, {"mu", 10}}), {0.15}, {.num_steps = 11}),
            "ccccuuucuuc");
}

TEST(Mixcache_Choice, ZeroThreshold_NeverReuses) {
  EXPECT_EQ(levels(open_with({{"threshold", 0}}), {0}), "cccccccccc");
}

TEST(Mixcache_Gate, OpensOnceChangesHaveSettled) {
  const std::vector<double> falling = {0, 0.4, 0.1, 0.02};
  // ā = 0.4, 0.25, 0.135, 0.0775: at most 0.35 · 0.4 at steps 3 and 4.
  EXPECT_EQ(levels({{"settle", 0.35}, {"flat", 1}, {"retain_first", 2}, {"tail", 1}}, falling),
            "cccccssscc");
  // |ā − ā'| / ā is 0.6, 0.85, 0.74, 0.59, 0.42, 0.26, 0.15 …: at most 0.3 at steps 7 and 8.
  EXPECT_EQ(levels({{"settle", 0.35}, {"flat", 0.3}, {"retain_first", 2}, {"tail", 1}}, falling,
                   {.num_steps = 12}),
            "cccccccccssc");
}

TEST(Mixcache_Gate, ClosesWhenChangesGrowAgain) {
  // Step 8 sees 0.6 per step: ā = 0.324, above 0.6 · 0.4.
  const std::vector<double> changes = {0, 0.4, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02, 0.6};
  const auto with = [](double unsettle) {
    return Json{{"settle", 0.35}, {"unsettle", unsettle}, {"flat", 1}, {"retain_first", 2},
                {"tail", 1},      {"threshold", 10}};
  };
  EXPECT_EQ(levels(with(0.6), changes, {.num_steps = 11}), "cccccsssccc");
  EXPECT_EQ(levels(with(1), changes, {.num_steps = 11}).substr(0, 9), "cccccsssc");
  EXPECT_NE(levels(with(1), changes, {.num_steps = 11})[9], 'c');
}

TEST(Mixcache_Gate, LastSteps_AreComputed) {
  EXPECT_EQ(levels(open_with({{"tail", 4}}), {0.02}), "ccccsscccc");
}

}  // namespace
}  // namespace bw::testing
