#include "run/bench_gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace bw::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Origin kOrigin = Origin::file("limits.json: ");

Json arm(const char* name, double seconds, double speedup, double psnr) {
  return {{"name", name},
          {"plan", {{"steps", 30}, {"cache", {{"policy", "bwcache"}}}}},
          {"seconds", {{"denoise", {{"median", seconds}}}}},
          {"share", {{"indicator_and_controller", 0.003}, {"rebuild", 0.001}}},
          {"speedup", {{"denoise", speedup}, {"total", speedup}}},
          {"computed_fraction", 0.5},
          {"cache_bytes", 1000},
          {"peak_memory_bytes", 1000000},
          {"quality", {{"psnr", psnr}}}};
}

Json summary(double seconds, double speedup, double psnr) {
  Json base = arm("base", 2, 1, 0);
  base["quality"] = Json::object();
  return {{"format_version", 2},
          {"kind", "bwcache-gen bench"},
          {"bundle", {{"sha256", "ab"}}},
          {"environment", {{"processor", "one"}}},
          {"prompts", {"a fox"}},
          {"seeds", {1}},
          {"arms", {base, arm("cached", seconds, speedup, psnr)}}};
}

std::string refusal(const Json& limits) {
  try {
    (void)check_limits(summary(1, 2, 35), limits, kOrigin);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(BenchLimits, Violations_SayArmPathValueAndLimit) {
  const Json limits = {
      {"*", {{"speedup.denoise", {{"min", 2.5}}}}},
      {"cached", {{"quality.psnr", {{"min", 30}}}, {"cache_bytes", {{"max", 10}}}}}};
  EXPECT_THAT(check_limits(summary(1, 2, 35), limits, kOrigin),
              ElementsAre("cached: speedup.denoise is 2, the limit is at least 2.5",
                          "cached: cache_bytes is 1000, the limit is at most 10"));
  EXPECT_THAT(
      check_limits(summary(1, 2, 35), {{"*", {{"speedup.denoise", {{"min", 2}}}}}}, kOrigin),
      IsEmpty())
      << "the limit itself holds, and the first arm is the yardstick";
}

TEST(BenchLimits, BadFile_IsNamedByItsPath) {
  EXPECT_THAT(refusal({{"cachd", Json::object()}}), HasSubstr("did you mean 'cached'"));
  EXPECT_THAT(refusal({{"*", {{"speedup.denoize", {{"min", 1}}}}}}), HasSubstr("speedup.denoise"));
  EXPECT_THAT(refusal({{"*", {{"speedup.denoise", Json::object()}}}}),
              HasSubstr("needs a \"min\""));
  EXPECT_THAT(refusal({{"*", {{"speedup.denoise", {{"mim", 1}}}}}}), HasSubstr("mim"));
  EXPECT_THAT(refusal({{"cached", 3}}), HasSubstr("must be an object"));
}

TEST(BenchBaseline, SlowerOrWorse_IsTold) {
  const Json before = summary(1, 2, 35);
  EXPECT_THAT(check_baseline(summary(1.05, 1.9, 34.8), before, {}, kOrigin).violations, IsEmpty());
  const BaselineResult worse = check_baseline(summary(1.2, 1.6, 33), before, {}, kOrigin);
  EXPECT_TRUE(worse.same_machine);
  EXPECT_THAT(worse.violations, ElementsAre(HasSubstr("seconds/denoise/median is 1.2, it was 1"),
                                            HasSubstr("speedup/denoise is 1.6, it was 2"),
                                            HasSubstr("quality/psnr is 33, it was 35")));
}

TEST(BenchBaseline, AnotherMachine_ComparesSpeedUpsAlone) {
  Json before = summary(0.1, 2, 35);
  before["environment"]["processor"] = "another";
  const BaselineResult result = check_baseline(summary(1, 2, 35), before, {}, kOrigin);
  EXPECT_FALSE(result.same_machine);
  EXPECT_THAT(result.violations, IsEmpty());
}

TEST(BenchBaseline, ACacheThatStoppedCaching_IsTold) {
  Json now = summary(1, 2, 60);
  now["arms"][1]["computed_fraction"] = 1.0;
  EXPECT_THAT(check_baseline(now, summary(1, 2, 35), {}, kOrigin).violations,
              ElementsAre(HasSubstr("computed_fraction is 1, it was 0.5")));
}

TEST(BenchBaseline, OtherWork_IsRefusedWithItsDifferences) {
  Json before = summary(1, 2, 35);
  before["arms"][1]["plan"]["steps"] = 20;
  before["prompts"] = {"a boat"};
  before["arms"].push_back(arm("third", 1, 2, 3));
  try {
    (void)check_baseline(summary(1, 2, 35), before, {}, kOrigin);
    ADD_FAILURE() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("steps: recorded 20, now 30"));
    EXPECT_THAT(error.what(), HasSubstr("prompts: others"));
    EXPECT_THAT(error.what(), HasSubstr("the arm 'third' is missing"));
  }
  EXPECT_THROW((void)check_baseline(summary(1, 2, 35), {{"kind", "x"}}, {}, kOrigin), InputError);
}

}  // namespace
}  // namespace bw::testing
