// Spectrum's steps by hand from the rule of the public ports: computed when the steps since the
// last computed one reach floor(window), which grows by flex_window with every computed step after
// the warm-up; and all from `stop` on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "policy_script.h"

namespace bw::testing {
namespace {

// Steps in `guarded` are computed whatever the policy plans.
std::string steps(const char* params, std::int64_t num_steps,
                  const std::set<std::int64_t>& guarded = {}) {
  const auto policy = make_policy_from("spectrum", Json::parse(params), num_steps);
  std::string letters;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = num_steps;
    Observation observation;
    observation.branches[0].ran = true;
    if (!guarded.contains(step)) {
      observation.branches[0].done = policy->begin(context).branches[0];
    }
    const bool reused = observation.branches[0].done.reuse == Site::kStack;
    letters += reused ? 'r' : 'c';
    policy->observe(context, observation);
  }
  return letters;
}

struct Row {
  const char* reason;
  const char* params;
  std::int64_t num_steps;
  const char* expected;
};

TEST(Spectrum_Window, GrowsWithEveryComputedStep) {
  const Row rows[] = {
      // Computed at 5, 7 (2.5), 10 (3), 13 (3.5), 17 (4); from 18 = 0.9 · 20 on all.
      {"the defaults", "{}", 20, "ccccrcrcrrcrrcrrrccc"},
      {"to the end", R"({"stop": 1})", 20, "ccccrcrcrrcrrcrrrcrr"},
      {"no growth", R"({"flex_window": 0})", 12, "ccccrcrcrccc"},
      // 4 and 5 reach a window of 1 and 1.5; then 2, 2.5, 3.
      {"from one on", R"({"window_size": 1, "stop": 1})", 12, "ccccccrcrcrr"},
      {"growth by one", R"({"flex_window": 1, "retain_first": 2, "stop": 1})", 12, "ccrcrrcrrrcr"},
      {"a run as short as the warm-up", "{}", 4, "cccc"},
      {"stop at once", R"({"stop": 0})", 8, "cccccccc"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.reason);
    EXPECT_EQ(steps(row.params, row.num_steps), row.expected);
  }
}

TEST(Spectrum_Window, AStepThatAGuardComputes_CountsAsOne) {
  // Step 4 grows the window to 2.5; 5 is one step later, 6 two. Then 3: 7, 8, and 9 is computed.
  EXPECT_EQ(steps(R"({"stop": 1})", 10, {4}), "cccccrcrrc");
}

TEST(Spectrum_Experts, ANewExpert_WarmsUpAgain) {
  const auto policy =
      make_policy_from("spectrum", Json{{"retain_first", 2}, {"stop", 1}}, 10, {4, 4});
  std::string letters;
  for (std::int64_t step = 0; step < 10; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = 10;
    context.expert = step < 5 ? 0 : 1;
    Observation observation;
    observation.branches[0] = {
        .ran = true, .done = policy->begin(context).branches[0], .distances = {}};
    letters += observation.branches[0].done.reuse == Site::kStack ? 'r' : 'c';
    policy->observe(context, observation);
  }
  EXPECT_EQ(letters, "ccrcrccrcr");
}

TEST(Spectrum_Needs, AtLeastSixSteps_AreKept) {
  EXPECT_EQ(make_policy_from("spectrum", Json::object(), 10)->needs().rebuild.depth(), 6U);
  EXPECT_EQ(make_policy_from("spectrum", Json{{"degree", 7}}, 10)->needs().rebuild.depth(), 8U);
}

}  // namespace
}  // namespace bw::testing
