// SortBlock's lists by hand from the rule: at a full step the floor(N ρ) blocks whose residuals
// changed most are listed and run until the next one, ρ = beta · poly(t).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "block_script.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

std::unique_ptr<CachePolicy> make_sortblock(const Json& params, std::int64_t num_steps,
                                            std::size_t num_blocks) {
  return make_policy_from("sortblock", params, num_steps, {num_blocks});
}

TEST(Sortblock_List, TheBlocksThatChangedMost_RunUntilTheNextFullStep) {
  const Json params = {{"beta", 0.3}, {"interval", 4}, {"window_high", 1000}, {"window_low", 0}};
  const auto policy = make_sortblock(params, 9, 10);
  // Step 1 sees 2, 7 and 9 change most, step 5 sees 0, 1 and 2.
  const PlayedBlocks played =
      play_blocks(*policy, {.num_steps = 9, .num_blocks = 10},
                  [](std::int64_t step, std::size_t block, std::int64_t) {
                    if (step < 5) return block == 2 || block == 7 || block == 9 ? 0.9 : 0.1;
                    return block < 3 ? 0.9 : 0.1;
                  });
  EXPECT_EQ(played.levels, "ccbbbcbbb") << "step 0 cannot be compared, so 1 is full too";
  EXPECT_EQ(played.blocks[0], "ccrrrcccc");
  EXPECT_EQ(played.blocks[1], "ccrrrcccc");
  EXPECT_EQ(played.blocks[2], "ccccccccc");
  EXPECT_EQ(played.blocks[7], "ccccccrrr");
  EXPECT_EQ(played.blocks[9], "ccccccrrr");
  EXPECT_EQ(played.blocks[5], "ccrrrcrrr");
}

TEST(Sortblock_Window, OutsideIt_EveryStepIsFull) {
  // t = 1000, 900, …: 700 to 300 are steps 3 to 7. Step 2 is the first cycle's full one; 5 follows
  // three later.
  const Json params = {{"interval", 3}, {"window_high", 700}, {"window_low", 300}};
  const auto policy = make_sortblock(params, 10, 4);
  const auto same = [](std::int64_t, std::size_t, std::int64_t) { return 0.1; };
  EXPECT_EQ(play_blocks(*policy, {}, same).levels, "cccbbcbbcc");
}

// How many of 100 blocks are listed at the timestep of step 1 of a run of num_steps.
std::int64_t num_listed(const Json& params, std::int64_t num_steps) {
  const auto policy = make_sortblock(params, num_steps, 100);
  const auto same = [](std::int64_t, std::size_t, std::int64_t) { return 0.1; };
  const PlayedBlocks played =
      play_blocks(*policy, {.num_steps = num_steps, .num_blocks = 100}, same);
  return std::ranges::count_if(played.blocks,
                               [](const std::string& block) { return block[2] == 'c'; });
}

Json preset_with(const char* preset, double beta) {
  const Origin origin = Origin::flag("--cache");
  Json params = preset_params(find_cache_policy("sortblock", origin), preset, origin);
  params["beta"] = beta;
  params["window_high"] = 1000;
  params["window_low"] = 0;
  return params;
}

TEST(Sortblock_Share, Polynomials_OfTheTimestep) {
  // Step 1 of five is at t = 800, of ten at 900. numpy.polyval: Wan 0.0132 and 0.0396, HunyuanVideo
  // 0.01998 and 0.0295.
  EXPECT_EQ(num_listed(preset_with("wan", 1), 5), 1);
  EXPECT_EQ(num_listed(preset_with("wan", 1), 10), 3);
  EXPECT_EQ(num_listed(preset_with("hunyuan-video", 1), 5), 1);
  EXPECT_EQ(num_listed(preset_with("hunyuan-video", 1), 10), 2);
}

TEST(Sortblock_Share, WithoutAPolynomial_IsBeta) {
  const auto with = [](double beta, const char* polynomial) {
    return Json{
        {"beta", beta}, {"polynomial", polynomial}, {"window_high", 1000}, {"window_low", 0}};
  };
  EXPECT_EQ(num_listed(with(0.25, "none"), 5), 25);
  EXPECT_EQ(num_listed(with(0, "none"), 5), 0);
  EXPECT_EQ(num_listed(with(1, "none"), 5), 100) << "everything runs";
  EXPECT_EQ(num_listed(with(1, "-0.5"), 5), 0) << "below 0 counts as 0";
  EXPECT_EQ(num_listed(with(1, "7"), 5), 100) << "above 1 counts as 1";
}

TEST(Sortblock_List, NoNumber_CountsAsTheLargestChange) {
  const Json params = {{"beta", 0.25}, {"window_high", 1000}, {"window_low", 0}};
  const auto policy = make_sortblock(params, 4, 4);
  const PlayedBlocks played =
      play_blocks(*policy, {.num_steps = 4, .num_blocks = 4},
                  [](std::int64_t, std::size_t block, std::int64_t) {
                    return block == 1 ? std::nan("") : 0.5 + static_cast<double>(block);
                  });
  EXPECT_EQ(played.blocks[1], "cccc");
  EXPECT_EQ(played.blocks[3], "ccrr");
}

TEST(Sortblock_Params, WindowThatEndsBeforeItStarts_IsRefused) {
  EXPECT_THROW((void)make_sortblock(Json{{"window_high", 100}, {"window_low", 100}}, 10, 4),
               UsageError);
}

}  // namespace
}  // namespace bw::testing
