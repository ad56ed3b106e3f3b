// MagCache's decisions by hand from the rule of the released code:
//   k >= retain: a *= γ_k; n++; E += |1 − a|;  E < θ and n <= K ? skip : (compute; a = 1, E = 0, n
//   = 0)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

std::string row(const char* name, const std::vector<const char*>& ratios) {
  std::string text = name;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    text += i == 0 ? ':' : ';';
    text += ratios[i];
  }
  return text;
}

std::unique_ptr<CachePolicy> make_magcache(Json params, const std::string& ratios,
                                           std::int64_t num_steps) {
  params["ratios"] = ratios;
  return make_policy_from("magcache", params, num_steps);
}

const Script kNothing = [](std::int64_t) { return Distances{}; };

TEST(Magcache_Error, ConstantRatio_AddsUp) {
  // γ = 0.5: a = 0.5, 0.25, 0.125; E = 0.5, 1.25, 2.125. Below 1.5: two skips, then computed.
  const auto policy = make_magcache({{"threshold", 1.5}, {"max_skipped", 9}, {"retain_first", "1"}},
                                    row("cond", std::vector<const char*>(8, "0.5")), 8);
  EXPECT_EQ(play(*policy, 8, kNothing).cond, "crrcrrcr");
}

TEST(Magcache_Error, RatioAboveOne_CountsAsMuchAsOneBelow) {
  // a = 1.25, 1.5625; E = 0.25, 0.8125.
  const auto policy = make_magcache({{"threshold", 0.5}, {"max_skipped", 9}, {"retain_first", "1"}},
                                    row("cond", std::vector<const char*>(6, "1.25")), 6);
  EXPECT_EQ(play(*policy, 6, kNothing).cond, "crcrcr");
}

TEST(Magcache_Error, EqualToTheThreshold_Computes) {
  const auto policy = make_magcache({{"threshold", 0.5}, {"max_skipped", 9}, {"retain_first", "1"}},
                                    row("cond", std::vector<const char*>(4, "0.5")), 4);
  EXPECT_EQ(play(*policy, 4, kNothing).cond, "cccc");
}

TEST(Magcache_Limits, MaxSkippedAndFirstSteps_Hold) {
  // Nothing drifts: K = 2 alone ends a run of skips; the first 30 % of 10 steps are computed.
  const auto policy = make_magcache({{"max_skipped", 2}, {"retain_first", "30%"}},
                                    row("cond", std::vector<const char*>(10, "1")), 10);
  EXPECT_EQ(play(*policy, 10, kNothing).cond, "cccrrcrrcr");
}

TEST(Magcache_Branches, EachGoesByItsOwnRatios) {
  const std::string table = row("cond", std::vector<const char*>(7, "1")) + "/" +
                            row("uncond", std::vector<const char*>(7, "0.5"));
  const auto policy =
      make_magcache({{"threshold", 0.6}, {"max_skipped", 2}, {"retain_first", "1"}}, table, 7);
  const Played played = play(*policy, 7, kNothing);
  EXPECT_EQ(played.cond, "crrcrrc");
  EXPECT_EQ(played.uncond, "crcrcrc");  // E = 0.5, then 1.25
}

TEST(Magcache_Branches, WithoutUncond_BothGoByCond) {
  const auto policy =
      make_magcache({{"retain_first", "1"}}, row("cond", std::vector<const char*>(7, "1")), 7);
  const Played played = play(*policy, 7, kNothing);
  EXPECT_EQ(played.uncond, played.cond);
}

TEST(Magcache_Table, UnknownRatio_Computes) {
  const auto policy = make_magcache({{"max_skipped", 9}, {"retain_first", "1"}},
                                    row("cond", {"-", "1", "1", "-", "1", "1"}), 6);
  EXPECT_EQ(play(*policy, 6, kNothing).cond, "crrcrr");
}

TEST(Magcache_Table, OfAnotherNumberOfSteps_IsRefused) {
  EXPECT_THAT([] { (void)make_magcache(Json::object(), "cond:1;1;1", 4); },
              ::testing::ThrowsMessage<UsageError>(
                  ::testing::HasSubstr("row 'cond' has 3 values, this run needs 4")));
}

}  // namespace
}  // namespace bw::testing
