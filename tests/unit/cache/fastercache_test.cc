// FasterCache's masks and weights by hand from the released scripts' rules, which count calls c
// from 1:
//   Open-Sora  T 30: attention reused at c > 7, even; w = (c − 7) / 20 · 0.9; uncond left out at
//              c > 11, c mod 5 != 0; HF × 1.15 at c >= 20, LF × 1.15 at c <= 25
//   Latte      T 50: c >= 16, even; 0.5; c >= 18, c mod 5 != 0; LF × 1.1 at c < 45, else HF × 1.1
//   CogVideoX  T 50: c >= 18, c mod 3 != 0; 0.3; c >= 18, c mod 5 != 0; LF × 1.1 at c <= 40,
//              HF × 1.1 at c >= 30
// with factors that apply anew at every call left out since both branches ran.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "cache/policy_table.h"

namespace bw::testing {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<CachePolicy> make_fastercache(const Json& params, std::int64_t num_steps,
                                              const std::vector<std::string>& stages) {
  const Origin origin = Origin::flag("--cache fastercache");
  const CachePolicyInfo& info = find_cache_policy("fastercache", origin);
  RunShape shape{num_steps, {2}};
  shape.stages = {{stages, stages}};
  return info.make(info.resolve(params, origin), origin, shape);
}

std::unique_ptr<CachePolicy> make_preset(const char* preset, std::int64_t num_steps,
                                         bool cfg = true) {
  const Origin origin = Origin::flag("--cache fastercache");
  Json params = preset_params(find_cache_policy("fastercache", origin), preset, origin);
  params["cfg"] = cfg;
  return make_fastercache(params, num_steps, {"self_attention", "cross_attention", "feed_forward"});
}

EvaluationContext context_at(std::int64_t step, std::int64_t num_steps) {
  EvaluationContext context;
  context.index = context.step = step;
  context.num_steps = num_steps;
  context.guided = true;
  return context;
}

// Plans every step and follows the plans.
std::vector<EvaluationPlan> plans_of(CachePolicy& policy, std::int64_t num_steps) {
  std::vector<EvaluationPlan> plans;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const EvaluationContext context = context_at(step, num_steps);
    plans.push_back(policy.begin(context));
    Observation observation;
    for (std::size_t i = 0; i < kNumBranches; ++i) {
      observation.branches[i] = {.ran = true, .done = plans.back().branches[i], .distances = {}};
    }
    policy.observe(context, observation);
  }
  return plans;
}

struct Script {
  const char* preset;
  std::int64_t num_steps;
  std::function<bool(std::int64_t c)> reuses_attention;
  std::function<double(std::int64_t c)> weight;
  std::function<bool(std::int64_t c)> skips_uncond;
  std::function<double(std::int64_t c)> low;
  std::function<double(std::int64_t c)> high;
};

std::vector<Script> released_scripts() {
  return {{.preset = "open-sora",
           .num_steps = 30,
           .reuses_attention = [](std::int64_t c) { return c > 7 && c % 2 == 0; },
           .weight = [](std::int64_t c) { return static_cast<double>(c - 7) / 20 * 0.9; },
           .skips_uncond = [](std::int64_t c) { return c > 11 && c % 5 != 0; },
           .low = [](std::int64_t c) { return c <= 25 ? 1.15 : 1.0; },
           .high = [](std::int64_t c) { return c >= 20 ? 1.15 : 1.0; }},
          {.preset = "latte",
           .num_steps = 50,
           .reuses_attention = [](std::int64_t c) { return c >= 16 && c % 2 == 0; },
           .weight = [](std::int64_t) { return 0.5; },
           .skips_uncond = [](std::int64_t c) { return c >= 18 && c % 5 != 0; },
           .low = [](std::int64_t c) { return c < 45 ? 1.1 : 1.0; },
           .high = [](std::int64_t c) { return c < 45 ? 1.0 : 1.1; }},
          {.preset = "cogvideox",
           .num_steps = 50,
           .reuses_attention = [](std::int64_t c) { return c >= 18 && c % 3 != 0; },
           .weight = [](std::int64_t) { return 0.3; },
           .skips_uncond = [](std::int64_t c) { return c >= 18 && c % 5 != 0; },
           .low = [](std::int64_t c) { return c <= 40 ? 1.1 : 1.0; },
           .high = [](std::int64_t c) { return c >= 30 ? 1.1 : 1.0; }}};
}

TEST(Fastercache_Attention, Presets_ReuseAsTheScriptsDo) {
  for (const Script& script : released_scripts()) {
    SCOPED_TRACE(script.preset);
    const auto policy = make_preset(script.preset, script.num_steps, /*cfg=*/false);
    const std::vector<EvaluationPlan> plans = plans_of(*policy, script.num_steps);
    for (std::int64_t c = 1; c <= script.num_steps; ++c) {
      const BranchPlan& cond = plans[static_cast<std::size_t>(c - 1)].branches[0];
      EXPECT_EQ(cond.reuse == Site::kStage, script.reuses_attention(c)) << "call " << c;
      if (cond.reuse != Site::kStage) continue;
      EXPECT_NEAR(cond.weight, script.weight(c), 1e-12) << "call " << c;
      EXPECT_EQ(cond.stages, std::vector<std::vector<bool>>(2, {true, false, false}));
    }
  }
}

// What the unconditional branch kept is as old as its last run.
TEST(Fastercache_Attention, WhereBothBranchesRunAgain_IsComputed) {
  for (const Script& script : released_scripts()) {
    SCOPED_TRACE(script.preset);
    const auto policy = make_preset(script.preset, script.num_steps);
    const std::vector<EvaluationPlan> plans = plans_of(*policy, script.num_steps);
    bool was_left_out = false;
    for (std::int64_t c = 1; c <= script.num_steps; ++c) {
      const bool skips = script.skips_uncond(c);
      const bool expected = script.reuses_attention(c) && (skips || !was_left_out);
      EXPECT_EQ(plans[static_cast<std::size_t>(c - 1)].branches[0].reuse == Site::kStage, expected)
          << "call " << c;
      was_left_out = was_left_out || skips;
    }
  }
}

TEST(Fastercache_Guidance, Presets_LeaveUncondOutAsTheScriptsDo) {
  for (const Script& script : released_scripts()) {
    SCOPED_TRACE(script.preset);
    const auto policy = make_preset(script.preset, script.num_steps);
    const std::vector<EvaluationPlan> plans = plans_of(*policy, script.num_steps);
    double low = 1;
    double high = 1;
    for (std::int64_t c = 1; c <= script.num_steps; ++c) {
      const BranchPlan& uncond = plans[static_cast<std::size_t>(c - 1)].branches[1];
      EXPECT_EQ(uncond.reuse == Site::kCfg, script.skips_uncond(c)) << "call " << c;
      const bool skips = script.skips_uncond(c);
      low = skips ? low * script.low(c) : 1;
      high = skips ? high * script.high(c) : 1;
      if (uncond.reuse != Site::kCfg) continue;
      EXPECT_NEAR(uncond.cfg.low, low, 1e-12) << "call " << c;
      EXPECT_NEAR(uncond.cfg.high, high, 1e-12) << "call " << c;
    }
  }
}

// 1.15, 1.3225, 1.520875 at calls 12 to 14 of Open-Sora; 15 runs both; 16 starts anew.
TEST(Fastercache_Guidance, CompoundFactors_GrowUntilBothBranchesRan) {
  const auto policy = make_preset("open-sora", 30);
  const std::vector<EvaluationPlan> plans = plans_of(*policy, 30);
  const double expected[] = {1.15, 1.3225, 1.520875};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(plans[11 + i].branches[1].cfg.low, expected[i], 1e-12);
    EXPECT_EQ(plans[11 + i].branches[1].cfg.high, 1);
  }
  EXPECT_EQ(plans[14].branches[1].reuse, Site::kNone) << "all runs";
  EXPECT_NEAR(plans[15].branches[1].cfg.low, 1.15, 1e-12);
}

TEST(Fastercache_Guidance, Paper_IsAConstantFactorPerBand) {
  const auto policy = make_preset("paper", 30);
  const std::vector<EvaluationPlan> plans = plans_of(*policy, 30);
  // From T/3 = 10 on, all but k = 14, 19, 24, 29; 1 + 0.2 of the low band up to the middle.
  for (std::size_t step = 0; step < 30; ++step) {
    const BranchPlan& uncond = plans[step].branches[1];
    const bool skips = step >= 10 && step % 5 != 4;
    EXPECT_EQ(uncond.reuse == Site::kCfg, skips) << step;
    if (!skips) continue;
    const CfgWeights expected = step < 15 ? CfgWeights{1.2, 1} : CfgWeights{1, 1.2};
    EXPECT_EQ(uncond.cfg, expected) << step;
  }
}

TEST(Fastercache_Guidance, TheSecondPartOfAStep_HasTheWeightsOfTheFirst) {
  const auto policy = make_preset("open-sora", 30);
  (void)plans_of(*policy, 13);  // the last one left uncond out
  EvaluationContext context = context_at(12, 30);
  context.part = 1;
  EXPECT_NEAR(policy->begin(context).branches[1].cfg.low, 1.3225, 1e-12);
}

TEST(Fastercache_Guidance, Unguided_HasNothingToLeaveOut) {
  const auto policy = make_preset("cfg-cache", 30);
  EvaluationContext context = context_at(12, 30);
  context.guided = false;
  EXPECT_EQ(policy->begin(context).branches[1].reuse, Site::kNone);
}

TEST(Fastercache_Parts, EachAlone_NeedsItsSiteAlone) {
  const auto cfg = make_fastercache(Json{{"attention", false}}, 30, {"mix"});
  EXPECT_EQ(cfg->needs().sites, std::vector<Site>{Site::kCfg});
  const auto attention = make_fastercache(Json{{"cfg", false}}, 30, {"self_attention"});
  EXPECT_EQ(attention->needs().sites, std::vector<Site>{Site::kStage});
  EXPECT_THROW((void)make_fastercache(Json{{"attention", false}, {"cfg", false}}, 30, {"mix"}),
               UsageError);
}

TEST(Fastercache_Parts, ModelWithoutSelfAttention_IsRefusedWithTheOtherPart) {
  try {
    (void)make_fastercache(Json::object(), 30, {"cross_attention", "feed_forward"});
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no stage"));
    EXPECT_THAT(error.what(), HasSubstr("attention=false"));
  }
}

}  // namespace
}  // namespace bw::testing
