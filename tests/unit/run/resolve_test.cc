#include "run/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "cache/policy_table.h"
#include "run/options.h"

namespace bw {
namespace {

using ::testing::HasSubstr;

const Manifest& tiny() {
  static const Manifest kManifest = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  return kManifest;
}

Request ask(const Json& config) {
  Request request;
  request.add_config(config, Origin::file("c.json: "));
  return request;
}

Plan plan_of(const Json& config) {
  Json whole = {{"prompt", "a fox"}};
  whole.update(config);
  return resolve(ask(whole), tiny());
}

std::string message_of(const Json& config) {
  try {
    (void)plan_of(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Resolve, NothingAsked_TakesTheBundlesDefaults) {
  const Plan plan = plan_of(Json::object());
  EXPECT_EQ(plan.clip.steps, tiny().defaults.steps);
  EXPECT_EQ(plan.clip.width, tiny().defaults.size.width);
  EXPECT_EQ(plan.clip.cache.policy, "none");
  EXPECT_EQ(plan.clip.seed, 42);
  EXPECT_EQ(plan.sources.at("steps"), "bundle");
  EXPECT_EQ(plan.sources.at("seed"), "default");
}

TEST(Resolve, LaterSource_Wins) {
  Request request = ask({{"prompt", "a fox"}, {"steps", 3}, {"seed", 7}});
  request.set("steps", "5", Origin::flag("--steps"));
  const Plan plan = resolve(request, tiny());
  EXPECT_EQ(plan.clip.steps, 5);
  EXPECT_EQ(plan.clip.seed, 7);
  EXPECT_EQ(plan.sources.at("steps"), "--steps");
  EXPECT_EQ(plan.sources.at("seed"), "c.json: seed");
}

TEST(Resolve, SeedMinusOne_DrawsOne) { EXPECT_GE(plan_of({{"seed", -1}}).clip.seed, 0); }

TEST(Resolve, GuidanceOfOne_RunsOneBranch) {
  EXPECT_FALSE(plan_of({{"guidance_scale", 1}}).clip.guidance.enabled);
  EXPECT_TRUE(plan_of({{"guidance_scale", 2}}).clip.guidance.enabled);
}

TEST(Resolve, Threshold_ChoosesBwcache) {
  const Plan plan = plan_of({{"cache_threshold", 0.04}});
  EXPECT_EQ(plan.clip.cache.policy, "bwcache");
  EXPECT_EQ(plan.clip.cache.params.at("threshold"), 0.04);
}

TEST(Resolve, CacheObjectAndText_AreTheSame) {
  const Plan object =
      plan_of({{"cache", {{"policy", "bwcache"}, {"threshold", 0.1}, {"reuse_interval", 2}}}});
  const Plan text = plan_of({{"cache", "bwcache:threshold=0.1,reuse_interval=2"}});
  EXPECT_EQ(object.clip.cache.params, text.clip.cache.params);
}

TEST(Resolve, GuardFlag_BeatsTheCacheObject) {
  const Json cache = {{"policy", "bwcache"}, {"warmup", 1}, {"end", 0.5}};
  const CachePlan plan = plan_of({{"cache", cache}, {"cache_warmup", 4}}).clip.cache;
  EXPECT_EQ(plan.warmup, 4);
  EXPECT_EQ(plan.end, 0.5);
}

TEST(Resolve, Budget_IsReadWithItsUnit) {
  EXPECT_EQ(plan_of({{"cache_budget", "2KiB"}}).clip.cache.budget_bytes, 2048U);
  const Json cache = {{"policy", "none"}, {"budget", "1MB"}};
  EXPECT_EQ(plan_of({{"cache", cache}}).clip.cache.budget_bytes, 1000000U);
}

TEST(Resolve, PresetThenOverride_OverrideWins) {
  const CachePlan plan =
      plan_of({{"cache", {{"policy", "bwcache"}, {"preset", "released"}, {"threshold", 0.5}}}})
          .clip.cache;
  EXPECT_EQ(plan.preset, "released");
  EXPECT_EQ(plan.params.at("threshold"), 0.5);
  EXPECT_EQ(plan.params.at("indicator"), "attention_input");
}

TEST(Resolve, PlanAsConfig_ResolvesToItself) {
  const Plan first =
      plan_of({{"cache", "bwcache:threshold=0.1"}, {"steps", 5}, {"flow_shift", 3.0}});
  const Plan second = plan_of({{"cache", "bwcache:threshold=0.1"}, {"steps", 5}});
  EXPECT_EQ(plan_to_json(first, false), plan_to_json(second, false))
      << "3 is the bundle's own shift";
}

struct BadCase {
  Json config;
  std::string message;
};

TEST(Resolve, BadValues_AreNamed) {
  const std::vector<BadCase> cases = {
      {{{"num_frames", 8}}, "num_frames"},
      {{{"sampler", "eulr"}}, "did you mean 'euler'"},
      {{{"cache", {{"threshold", 1}}}}, "cache.policy: is missing"},
      {{{"cache", {{"policy", "bwcache"}, {"start", 2}}}}, "cache.start: must satisfy"},
      {{{"cache", {{"policy", "bwcache"}, {"preset", "publishd"}}}}, "did you mean 'published'"},
      {{{"cache", "static"}, {"cache_threshold", 0.1}}, "has no threshold"},
      {{{"cache", "none"}, {"cache_replay", "r.json"}}, "cannot be given together"},
      {{{"guidance_start", 0.9}, {"guidance_end", 0.1}}, "guidance_start"},
      {{{"output", "fox.mp5"}}, "mp5"},
      {{{"dtype", "float16"}}, "'float16' is not a choice"},
  };
  for (const BadCase& bad : cases)
    EXPECT_THAT(message_of(bad.config), HasSubstr(bad.message)) << bad.config;
}

// In a config's `cache` they stand side by side, so a parameter of such a name could never be set.
TEST(ReservedCacheNames, NoParameterOfAPolicy_HasOne) {
  const std::vector<std::string> taken = reserved_cache_names();
  for (const CachePolicyInfo& policy : cache_policies()) {
    for (const ParamInfo& param : policy.params) {
      EXPECT_EQ(std::ranges::count(taken, param.name), 0) << policy.name << ": " << param.name;
    }
  }
}

TEST(Options, EveryKey_IsFoundAndHasADocumentedFlag) {
  for (const OptionInfo& option : options()) {
    EXPECT_EQ(find_option(option.key), &option);
    EXPECT_THAT(main_flag(option), ::testing::StartsWith("--"));
  }
}

}  // namespace
}  // namespace bw
