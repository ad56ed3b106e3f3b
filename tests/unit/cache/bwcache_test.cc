// BWCache's decisions on scripted signals. The expected masks were written by hand from the paper's
// rule (arXiv 2509.13789) and the readings of the released code:
//   trigger at k -> from k+1 on R reused, 1 computed, …; the last floor(k/2) steps computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

struct MaskRow {
  const char* reason;
  std::int64_t num_steps;
  std::int64_t below_from;  // first step whose distance is below the threshold
  const char* params;
  const char* expected;
};

const MaskRow kMasks[] = {
    {"30 steps, k = 9, R = 3: tail floor(4.5) = 4; 12 reused, the paper's 41.38 %", 30, 9,
     R"({"preset": "published"})", "ccccccccccrrrcrrrcrrrcrrrccccc"},
    {"released code: R = 3 absolute", 20, 4, R"({"preset": "released"})", "cccccrrrcrrrcrrrcrcc"},
    {"published: R = 10 % of 20 = 2", 20, 4, R"({"preset": "published"})", "cccccrrcrrcrrcrrcrcc"},
    {"step 0 has no predecessor; k = 1 has floor(0.5) = 0 tail: no mask[-0:] trap", 10, 0,
     R"({"reuse_interval": 3})", "ccrrrcrrrc"},
    {"k = 2: tail of 1", 10, 2, R"({"reuse_interval": 3})", "cccrrrcrrc"},
    {"k = 3: floor(1.5) = 1", 10, 3, R"({"reuse_interval": 3})", "ccccrrrcrc"},
    {"k = 4: tail of 2", 10, 4, R"({"reuse_interval": 3})", "cccccrrrcc"},
    {"no tail at all", 10, 4, R"({"reuse_interval": 3, "tail": 0})", "cccccrrrcr"},
    {"an absolute tail of 3", 10, 1, R"({"reuse_interval": 3, "tail": 3})", "ccrrrcrccc"},
    {"a tail longer than the run computes all", 10, 1, R"({"reuse_interval": 3, "tail": 12})",
     "cccccccccc"},
    {"trigger at the last step changes nothing", 10, 9, R"({"reuse_interval": 3})", "cccccccccc"},
    {"never below", 10, 99, R"({"reuse_interval": 3})", "cccccccccc"},
    {"tail of what remains: T = 30, k = 1, remaining 28, tail 14; 11 reused", 30, 1,
     R"({"reuse_interval": 3, "tail_of": "remaining"})", "ccrrrcrrrcrrrcrrcccccccccccccc"},
    {"tail of what remains: T = 50, R = 5, k = 1, tail 24; 20 reused = 1.67x", 50, 1,
     R"({"reuse_interval": 5, "tail_of": "remaining"})",
     "ccrrrrrcrrrrrcrrrrrcrrrrrccccccccccccccccccccccccc"},
    {"R = 1", 10, 2, R"({"reuse_interval": 1, "tail": 0})", "cccrcrcrcr"},
    {"R = 5 % of 10 rounds to at least 1", 10, 2, R"({"reuse_interval": "5%", "tail": 0})",
     "cccrcrcrcr"},
};

std::unique_ptr<CachePolicy> make_bwcache(Json params, std::int64_t num_steps) {
  const Origin origin = Origin::flag("--cache");
  if (params.contains("preset")) {
    params = preset_params(find_cache_policy("bwcache", origin),
                           params["preset"].get<std::string>(), origin);
  }
  return make_policy_from("bwcache", params, num_steps);
}

std::unique_ptr<CachePolicy> make_bwcache(const char* params, std::int64_t num_steps) {
  return make_bwcache(Json::parse(params), num_steps);
}

TEST(Bwcache_Mask, ScriptedSignal_GivesHandWrittenMask) {
  for (const MaskRow& row : kMasks) {
    SCOPED_TRACE(row.reason);
    const auto policy = make_bwcache(row.params, row.num_steps);
    const Played played = play(*policy, row.num_steps, falls_below_at(row.below_from));
    EXPECT_EQ(played.cond, row.expected);
    EXPECT_EQ(played.uncond, row.expected);
  }
}

TEST(Bwcache_Once, AfterTrigger_NeverTestsAgain) {
  const auto policy = make_bwcache(R"({"reuse_interval": 2, "tail": 0})", 12);
  const Played played = play(*policy, 12, [](std::int64_t step) {
    return step == 3 ? Distances{0.01, 0.01} : Distances{kFar, kFar};
  });
  EXPECT_EQ(played.cond, "ccccrrcrrcrr");
  EXPECT_EQ(played.measured, "mmmm--------");
}

TEST(Bwcache_Every, AboveThresholdAgain_ComputesUntilBelow) {
  const auto policy =
      make_bwcache(R"({"reuse_interval": 2, "tail": 0, "trigger": "every", "threshold": 0.1})", 16);
  // Below at 3; at 6 (gap 3) 0.27 / 3 = 0.09 is below, at 9 0.33 / 3 = 0.11 is not; at 10 and 11
  // (gap 1) 0.2 and 0.05.
  const Played played = play(*policy, 16, [](std::int64_t step) {
    if (step == 6) return Distances{0.27, 0.27};
    if (step == 9) return Distances{0.33, 0.33};
    if (step == 10) return Distances{0.2, 0.2};
    return step == 3 || step >= 11 ? Distances{0.05, 0.05} : Distances{kFar, kFar};
  });
  EXPECT_EQ(played.cond, "ccccrrcrrcccrrcr");
}

TEST(Bwcache_Every, Tail_CountsFromTheFirstTrigger) {
  const auto policy = make_bwcache(R"({"reuse_interval": 2, "trigger": "every"})", 16);
  const Played played = play(*policy, 16, falls_below_at(4));  // tail of 2: 14 and 15
  EXPECT_EQ(played.cond, "cccccrrcrrcrrccc");
  EXPECT_EQ(played.measured, "mmmmmmmmmmmmmm--");
}

struct VerdictRow {
  const char* reason;
  const char* verdict;
  Distances distances;  // at every step
  const char* cond;
  const char* uncond;
};

TEST(Bwcache_Verdict, BranchesDisagree_FollowsTheSwitch) {
  const VerdictRow rows[] = {
      {"cond decides for both", "cond", {0.01, kFar}, "ccrrrr", "ccrrrr"},
      {"uncond alone decides nothing", "cond", {kFar, 0.01}, "cccccc", "cccccc"},
      {"mean (0.01 + 0.21) / 2 = 0.11", "mean", {0.01, 0.21}, "ccrrrr", "ccrrrr"},
      {"mean (0.01 + 0.41) / 2 = 0.21", "mean", {0.01, 0.41}, "cccccc", "cccccc"},
      {"each for itself", "each", {0.01, kFar}, "ccrrrr", "cccccc"},
      {"each for itself", "each", {kFar, 0.01}, "cccccc", "ccrrrr"},
  };
  for (const VerdictRow& row : rows) {
    SCOPED_TRACE(row.reason);
    const Json params = {{"verdict", row.verdict}, {"reuse_interval", 9}, {"tail", 0}};
    const Played played =
        play(*make_bwcache(params, 6), 6, [&](std::int64_t) { return row.distances; });
    EXPECT_EQ(played.cond, row.cond);
    EXPECT_EQ(played.uncond, row.uncond);
  }
}

TEST(Bwcache_Threshold, NotStrictlyBelow_Computes) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const struct {
    const char* reason;
    double threshold;
    double distance;
    bool reuses;
  } rows[] = {
      {"equal is not below", 0.1, 0.1, false},   {"just below", 0.1, 0.0999999, true},
      {"0 never reuses, whatever", 0, 0, false}, {"not a number", 1e300, kNan, false},
      {"infinite", 1e300, kInf, false},          {"minus nothing", 0.1, -0.0, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const Json params = {{"threshold", row.threshold}, {"tail", 0}};
    const Played played = play(*make_bwcache(params, 4), 4, [&](std::int64_t) {
      return Distances{row.distance, row.distance};
    });
    EXPECT_EQ(played.cond.find('r') != std::string::npos, row.reuses);
  }
}

EvaluationContext at_step(std::int64_t step, int part, std::size_t expert = 0) {
  EvaluationContext context;
  context.step = step;
  context.num_steps = 10;
  context.part = part;
  context.expert = expert;
  return context;
}

Observation computed(double distance) {
  Observation observation;
  observation.branches[0].ran = true;
  if (distance < kFar) {
    observation.branches[0].distances = {distance};
    observation.branches[0].gap = 1;
  }
  return observation;
}

TEST(Bwcache_Heun, SecondPart_SharesTheVerdict) {
  const auto policy = make_bwcache(R"({"reuse_interval": 2, "tail": 0})", 10);
  policy->observe(at_step(0, 0), computed(kFar));
  policy->observe(at_step(0, 1), computed(0.001));  // of the second part nothing is learnt
  EXPECT_EQ(policy->begin(at_step(1, 0)).branches[0].reuse, Site::kNone);
  policy->observe(at_step(1, 0), computed(0.001));
  EXPECT_EQ(policy->begin(at_step(1, 1)).branches[0].reuse, Site::kNone) << "k itself is computed";
  policy->observe(at_step(1, 1), computed(kFar));
  for (const int part : {0, 1}) {
    EXPECT_EQ(policy->begin(at_step(2, part)).branches[0].reuse, Site::kStack);
    EXPECT_EQ(policy->begin(at_step(4, part)).branches[0].reuse, Site::kNone) << "k + R + 1";
  }
}

TEST(Bwcache_Experts, SecondExpert_StartsAfresh) {
  const auto policy = make_policy_from("bwcache", {{"reuse_interval", 9}}, 10, {4, 6});
  policy->observe(at_step(0, 0), computed(kFar));
  policy->observe(at_step(1, 0), computed(0.001));
  EXPECT_EQ(policy->begin(at_step(5, 0)).branches[0].reuse, Site::kStack);
  EXPECT_EQ(policy->begin(at_step(5, 0, 1)).branches[0].reuse, Site::kNone);
  EXPECT_TRUE(policy->begin(at_step(5, 0, 1)).measure);
  policy->observe(at_step(5, 0, 1), computed(kFar));
  EXPECT_EQ(policy->begin(at_step(6, 0, 1)).branches[0].reuse, Site::kNone);
}

TEST(Bwcache_Overruled, GuardComputedAReusedStep_OnceKeepsItsMask) {
  const auto policy = make_bwcache(R"({"reuse_interval": 2, "tail": 0})", 10);
  policy->observe(at_step(0, 0), computed(kFar));
  policy->observe(at_step(1, 0), computed(0.001));
  policy->observe(at_step(2, 0), computed(kFar));  // planned as reuse
  EXPECT_EQ(policy->begin(at_step(3, 0)).branches[0].reuse, Site::kStack);
  EXPECT_EQ(policy->begin(at_step(4, 0)).branches[0].reuse, Site::kNone);
}

TEST(Bwcache_Overruled, GuardComputedAReusedStep_EveryLearnsFromIt) {
  const auto policy = make_bwcache(R"({"reuse_interval": 2, "tail": 0, "trigger": "every"})", 10);
  policy->observe(at_step(0, 0), computed(kFar));
  policy->observe(at_step(1, 0), computed(0.001));
  policy->observe(at_step(2, 0), computed(0.9));  // planned as reuse, and too far
  EXPECT_EQ(policy->begin(at_step(3, 0)).branches[0].reuse, Site::kNone);
}

TEST(Bwcache_Needs, Switches_ChooseWhatIsMeasuredAndKept) {
  const CacheNeeds published = make_bwcache(R"({"preset": "published"})", 30)->needs();
  EXPECT_EQ(published.signal.kind, SignalKind::kBlockOutput);
  EXPECT_EQ(published.rebuild.name(), "residual");
  EXPECT_EQ(published.signal.branches, (std::array<bool, 2>{true, false}));
  EXPECT_THAT(published.sites, ::testing::ElementsAre(Site::kStack));
  EXPECT_EQ(make_bwcache(R"({"preset": "released"})", 30)->needs().signal.kind,
            SignalKind::kAttentionInput);
  const CacheNeeds half =
      make_bwcache(R"({"probe_blocks": "50%", "verdict": "each", "rebuild": "taylor:2"})", 30)
          ->needs();
  EXPECT_THAT(half.signal.blocks.front(), ::testing::ElementsAre(1, 3));
  EXPECT_EQ(half.signal.branches, (std::array<bool, 2>{true, true}));
  EXPECT_EQ(half.rebuild.depth(), 3U);
}

TEST(Bwcache_Params, BadValue_NamesFieldAndLimit) {
  const struct {
    const char* reason;
    const char* params;
    const char* expected;
  } rows[] = {
      {"negative", R"({"threshold": -1})", "threshold: must satisfy 0 <= x"},
      {"NaN", R"({"threshold": "nan"})", "threshold: must satisfy 0 <= x"},
      {"text", R"({"threshold": "high"})", "threshold: must be a number"},
      {"zero R", R"({"reuse_interval": 0})", "reuse_interval: must be a number of steps"},
      {"R above all", R"({"reuse_interval": "101%"})", "reuse_interval: must be a number of steps"},
      {"missing block", R"({"probe_blocks": "0+4"})", "block 4 does not exist"},
      {"rebuild", R"({"rebuild": "residul"})", "did you mean 'residual'"},
      {"order", R"({"rebuild": "taylor:5"})", "rebuild: must be output, residual, linear"},
      {"tail", R"({"tail": 1.5})", "tail: must be a share below 1"},
      {"unknown key", R"({"treshold": 0.1})", "threshold"},
      {"choice", R"({"verdict": "cnd"})", "cond"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    try {
      (void)make_bwcache(row.params, 30);
      ADD_FAILURE() << "accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(row.expected));
    }
  }
}

}  // namespace
}  // namespace bw::testing
