#include "run/tune_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace bw::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const CachePolicyInfo& policy(const char* name) {
  return find_cache_policy(name, Origin::flag("--cache"));
}

CachePlan plan_of(const char* name) {
  CachePlan plan;
  plan.policy = name;
  plan.params = policy(name).resolve(Json::object(), Origin::flag("--cache"));
  return plan;
}

std::string refusal(const std::string& text, const char* name = "bwcache") {
  try {
    (void)parse_tune_axis(text, policy(name));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TuneAxis, Forms_GiveTheirValues) {
  EXPECT_THAT(parse_tune_axis("threshold=0.02:0.06:3", policy("bwcache")).values,
              ElementsAre(Json(0.02), Json(0.04), Json(0.06)));
  EXPECT_THAT(parse_tune_axis("reuse_interval=1,10%", policy("bwcache")).values,
              ElementsAre(Json(1), Json("10%")));
  EXPECT_THAT(parse_tune_axis("rebuild=output,taylor:2", policy("bwcache")).values,
              ElementsAre(Json("output"), Json("taylor:2")));
  EXPECT_TRUE(parse_tune_axis("threshold=auto", policy("bwcache")).is_auto);
}

TEST(TuneAxis, BadText_NamesWhatIsWrong) {
  EXPECT_THAT(refusal("treshold=1"), HasSubstr("threshold"));
  EXPECT_THAT(refusal("threshold"), HasSubstr("PARAM=VALUES"));
  EXPECT_THAT(refusal("threshold="), HasSubstr("PARAM=VALUES"));
  EXPECT_THAT(refusal("threshold=1,,2"), HasSubstr("empty value"));
  EXPECT_THAT(refusal("threshold=0.5:0.1:3"), HasSubstr("LOW must be below HIGH"));
  EXPECT_THAT(refusal("threshold=0.1:0.5:1"), HasSubstr("COUNT"));
  EXPECT_THAT(refusal("threshold=0.1:x:3"), HasSubstr("'x' is no number"));
  EXPECT_THAT(refusal("rebuild=auto"), HasSubstr("write its values"));
}

TEST(TuneCandidates, Axes_GiveAllCombinations) {
  const std::vector<TuneAxis> axes = {{"threshold", {0.1, 0.2}, false},
                                      {"rebuild", {"output", "residual"}, false}};
  const std::vector<TuneCandidate> candidates = tune_candidates(axes, plan_of("bwcache"));
  ASSERT_EQ(candidates.size(), 4);
  EXPECT_EQ(candidates[1].label, "threshold=0.1,rebuild=residual");
  EXPECT_EQ(candidates[2].cache.params["threshold"], 0.2);
  EXPECT_EQ(candidates[2].cache.params["rebuild"], "output");
  EXPECT_EQ(candidates[2].cache.params["tail"], 0.5) << "what is not varied stays";
}

TEST(TuneCandidates, ValueThePolicyRefuses_IsNamed) {
  const std::vector<TuneAxis> axes = {{"rebuild", {"outpot"}, false}};
  try {
    (void)tune_candidates(axes, plan_of("bwcache"));
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--vary: rebuild"));
  }
}

TEST(DefaultTuneAxes, EveryPolicyOfTheTable_HasValidOnesOrSaysSo) {
  for (const CachePolicyInfo& info : cache_policies()) {
    if (info.tunable == "{}") {
      EXPECT_THROW((void)default_tune_axes(info), UsageError) << info.name;
      continue;
    }
    std::vector<TuneAxis> axes = default_tune_axes(info);
    for (TuneAxis& axis : axes) {
      if (axis.is_auto) axis.values = {0.1};
    }
    EXPECT_FALSE(tune_candidates(axes, plan_of(std::string(info.name).c_str())).empty());
  }
}

}  // namespace
}  // namespace bw::testing
