// DBCache's decisions on scripted changes of the first blocks' residual, by hand from the rule
//   |f − f_ref| / |f_ref| < threshold ? reuse : compute, f_ref of the last computed step
// (the script gives the distances as measured), and its limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<CachePolicy> make_dbcache(const char* params, std::int64_t num_steps) {
  return make_policy_from("dbcache", Json::parse(params), num_steps);
}

TEST(Dbcache_Verdict, BelowTheThreshold_Reuses) {
  const auto policy = make_dbcache(R"({"threshold": 0.08})", 8);
  const Played played = play(*policy, 8, [](std::int64_t step) {
    const double change = step % 3 == 0 ? 0.08 : 0.05;  // 0.08 is not below
    return Distances{change, kFar};
  });
  EXPECT_EQ(played.cond, "crrcrrcr");
  EXPECT_EQ(played.uncond, played.cond) << "the conditional branch decides for both";
}

TEST(Dbcache_Verdict, Each_DecidesForItself) {
  const auto policy = make_dbcache(R"({"threshold": 0.08, "verdict": "each"})", 5);
  const Played played = play(*policy, 5, [](std::int64_t) { return Distances{kFar, 0.01}; });
  EXPECT_EQ(played.cond, "ccccc");
  EXPECT_EQ(played.uncond, "crrrr");
}

struct LimitRow {
  const char* reason;
  const char* params;
  const char* expected;
};

TEST(Dbcache_Limits, ScriptedBelow_StopAtTheLimit) {
  const LimitRow rows[] = {
      {"no limit", R"({})", "crrrrrrrrr"},
      {"three in all", R"({"max_reused": 3})", "crrrcccccc"},
      {"threshold 0", R"({"threshold": 0})", "cccccccccc"},
  };
  for (const LimitRow& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto policy = make_dbcache(row.params, 10);
    const auto script = [](std::int64_t) { return Distances{0.0, 0.0}; };
    EXPECT_EQ(play(*policy, 10, script).cond, row.expected);
  }
}

TEST(Dbcache_Params, MoreBlocksThanTheModelHas_AreRefused) {
  try {
    (void)make_dbcache(R"({"front_blocks": 3, "back_blocks": 1})", 10);  // of four
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("less than the 4 blocks"));
  }
}

}  // namespace
}  // namespace bw::testing
