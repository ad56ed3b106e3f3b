// QuantCache's decisions by hand: a time to live per block, skipping, and int8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

// What is measured of a block where it is computed.
struct Seen {
  double distance = 0;
  double alignment = 0;
};
using BlockScript = std::function<Seen(std::int64_t step, std::size_t block)>;

constexpr std::size_t kBlocks = 3;

// One text per step and a letter per block: c computed, q in int8, r reused, s skipped.
std::vector<std::string> play_blocks(CachePolicy& policy, std::int64_t num_steps,
                                     const BlockScript& script, double motion = 1) {
  std::vector<std::string> steps;
  std::vector<bool> computed(kBlocks, false);
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const EvaluationContext context = guided_step(step, num_steps);
    const EvaluationPlan plan = policy.begin(context);
    EXPECT_EQ(plan.branches[0], plan.branches[1]) << step;
    Observation observation;
    BranchObservation& cond = observation.branches[0];
    cond.ran = true;
    cond.done = plan.branches[0];
    cond.motion = motion;
    bool any = false;
    std::string letters;
    for (std::size_t block = 0; block < kBlocks; ++block) {
      const bool out = leaves_out(cond.done, block);
      letters += is_set(cond.done.blocks, block)    ? 'r'
                 : is_set(cond.done.skipped, block) ? 's'
                 : is_int8(cond.done, block)        ? 'q'
                                                    : 'c';
      const double nan = std::numeric_limits<double>::quiet_NaN();
      cond.distances.push_back(out || !computed[block] ? nan : script(step, block).distance);
      cond.alignment.push_back(out ? nan : script(step, block).alignment);
      any = any || (!out && computed[block]);
      if (!out) computed[block] = true;
    }
    if (!any) cond.distances.clear();
    policy.observe(context, observation);
    steps.push_back(letters);
  }
  return steps;
}

std::vector<std::string> played(Json params, const BlockScript& script, double motion = 1) {
  const Json defaults = {
      {"codebook", "0.1:4;0.3:2;1:1"}, {"skip_above", 1}, {"skip_from", 1}, {"int8_below", 0}};
  Json all = defaults;
  all.update(params);
  return play_blocks(*make_policy_from("quantcache", all, 10, {kBlocks}), 10, script, motion);
}

// Block 0 changes little (rate 4), block 1 more (rate 2), block 2 much (rate 1), per step apart.
Seen three_rates(std::int64_t /*step*/, std::size_t block) {
  constexpr double kChanges[] = {0.05, 0.2, 0.5};
  return {kChanges[block], 0};
}

TEST(Quantcache_Schedule, EachBlockLivesByItsOwnChange) {
  // Computed at 0 and 1, where the changes are known. Block 0: 0.05 is below 0.1, next at 5; there
  // 0.05 over 4 steps, next at 9, which is the last step. Block 1: next at 3, where 0.2 over 2
  // steps is 0.1, not below 0.1, so every second again.
  EXPECT_THAT(
      played(Json::object(), three_rates),
      ::testing::ElementsAre("ccc", "ccc", "rrc", "rcc", "rrc", "ccc", "rrc", "rcc", "rrc", "ccc"));
}

TEST(Quantcache_Schedule, MotionMultipliesTheChange) {
  // Times 3: 0.15 (rate 2), 0.6 (rate 1), 1.5 (the last entry, rate 1). At 3 block 0: 0.05 over 2
  // steps times 3 is 0.075, rate 4, next at 7, where it is 0.0375.
  EXPECT_THAT(
      played(Json::object(), three_rates, 3),
      ::testing::ElementsAre("ccc", "ccc", "rcc", "ccc", "rcc", "rcc", "rcc", "ccc", "rcc", "ccc"));
  EXPECT_EQ(played({{"motion", false}}, three_rates, 3), played(Json::object(), three_rates, 1));
}

TEST(Quantcache_Skipping, ParallelBlocks_AreLeftOutUntilTheLongestRate) {
  // All blocks change much (rate 1) and are parallel to their input, block 1 most of all. The first
  // is never skipped; block 1 is, but computed again after 4 steps, where the
  // same change over 4 steps is worth 2.
  const auto script = [](std::int64_t, std::size_t block) {
    return Seen{0.9, block == 2 ? 0.5 : 0.99};
  };
  EXPECT_THAT(
      played({{"skip_above", 0.98}, {"skip_from", 0.98}}, script),
      ::testing::ElementsAre("ccc", "ccc", "csc", "csc", "csc", "ccc", "crc", "csc", "csc", "ccc"));
}

// Between skip_from and skip_above a draw decides: never at chance 0, always where twice the chance
// is 1.
TEST(Quantcache_Skipping, ByChance_FollowsTheDrift) {
  const auto script = [](std::int64_t, std::size_t) { return Seen{0.9, 0.95}; };
  Json params = {{"skip_above", 1}, {"skip_from", 0.9}, {"skip_chance", 0}};
  EXPECT_EQ(played(params, script)[2], "ccc");
  params["skip_chance"] = 0.5;
  params["drift_low"] = params["drift_high"] = 100;  // the drift is below it: twice the chance
  EXPECT_EQ(played(params, script)[2], "css");
  params["drift_low"] = params["drift_high"] = 0;  // above it: half of it
  params["skip_chance"] = 1;
  int skipped = 0;
  for (const std::string& step : played(params, script)) {
    skipped += static_cast<int>(std::count(step.begin(), step.end(), 's'));
  }
  EXPECT_GT(skipped, 0);
  EXPECT_LT(skipped, 2 * 7);
}

TEST(Quantcache_Precision, SmallChange_ComputesTheChosenBlocksInInt8) {
  const auto small = [](std::int64_t, std::size_t) { return Seen{0.4, 0}; };
  EXPECT_THAT(
      played({{"int8_below", 0.5}, {"int8_blocks", "1+2"}}, small),
      ::testing::ElementsAre("ccc", "ccc", "cqq", "cqq", "cqq", "cqq", "cqq", "cqq", "cqq", "ccc"));
  EXPECT_EQ(played({{"int8_below", 0.4}}, small)[2], "ccc") << "0.4 is not below 0.4";
}

TEST(Quantcache, Parameters_AreChecked) {
  const auto message = [](const Json& params) -> std::string {
    try {
      (void)make_policy_from("quantcache", params, 10, {kBlocks});
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message({{"skip_from", 1}, {"skip_above", 0.5}}), ::testing::HasSubstr("skip_from"));
  EXPECT_THAT(message({{"drift_low", 1}, {"drift_high", 0.5}}), ::testing::HasSubstr("drift_low"));
  EXPECT_THAT(message({{"int8_blocks", "7"}}), ::testing::HasSubstr("int8_blocks"));
  const CachePolicyInfo& info = find_cache_policy("quantcache", Origin::flag("--cache"));
  const Json off = info.resolve({{"int8_below", 0}}, Origin::flag("--cache"));
  EXPECT_FALSE(info.uses_int8(off));
  EXPECT_TRUE(info.uses_int8(info.resolve(Json::object(), Origin::flag("--cache"))));
}

}  // namespace
}  // namespace bw::testing
