// TaoCache's late steps and weights by hand: every second step from `reuse_from` continues the
// difference of the last two computed predictions, one or two steps apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/policy_table.h"

namespace bw::testing {
namespace {

constexpr std::int64_t kSteps = 8;

std::unique_ptr<CachePolicy> make_taocache(const Json& params) {
  RunShape shape{kSteps, {2}};
  return find_cache_policy("taocache", Origin::flag("--cache"))
      .make(params, Origin::flag("--cache"), shape);
}

const Json kTable = {
    {"weights", "1:-;-;0.12;0.13;0.14;0.15;0.16;0.17/2:-;-;-;0.23;0.24;0.25;0.26;0.27"}};

struct Played {
  std::string steps;
  std::vector<double> weights;  // of the reused ones
};

// `forbidden`: a step at which a guard lets nothing be reused.
Played play(CachePolicy& policy, std::int64_t forbidden = -1) {
  Played played;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = kSteps;
    context.guided = true;
    const EvaluationPlan plan = policy.begin(context);
    Observation observation;
    observation.guided_reused = plan.reuse_guided && step != forbidden;
    played.steps += observation.guided_reused ? 'r' : 'c';
    if (observation.guided_reused) played.weights.push_back(plan.guided_weight);
    policy.observe(context, observation);
  }
  return played;
}

Json with(const char* key, const Json& value) {
  Json params = kTable;
  params[key] = value;
  return params;
}

TEST(Taocache_Schedule, EverySecondLateStep_TakesTheWeightOfItsGap) {
  // Step 3 continues 2 − 1; step 5 continues 4 − 2, two steps apart; step 7 is the last.
  const Played played = play(*make_taocache(with("reuse_from", "3")));
  EXPECT_EQ(played.steps, "cccrcrcc");
  EXPECT_THAT(played.weights, ::testing::ElementsAre(0.13, 0.25));
}

TEST(Taocache_Schedule, Start_MayBeAShareOfTheSteps) {
  const Played played = play(*make_taocache(kTable));  // 50 % of 8
  EXPECT_EQ(played.steps, "ccccrcrc");
  EXPECT_THAT(played.weights, ::testing::ElementsAre(0.14, 0.26));
}

TEST(Taocache_Schedule, AfterAGuard_TheGapIsThatOfWhatWasComputed) {
  const Played played = play(*make_taocache(with("reuse_from", "3")), 3);
  EXPECT_EQ(played.steps, "cccccrcc");
  EXPECT_THAT(played.weights, ::testing::ElementsAre(0.15));
}

TEST(Taocache_Schedule, TwoComputedSteps_AreNeeded) {
  EXPECT_EQ(play(*make_taocache(with("reuse_from", "1"))).steps, "cccrcrcc")
      << "step 1 has one alone";
}

TEST(Taocache_Table, UnknownWeight_Computes) {
  const Json params = {{"weights", "1:-;-;-;-;-;-;0.5;-/2:-;-;-;-;-;-;-;-"}, {"reuse_from", "2"}};
  EXPECT_EQ(play(*make_taocache(params)).steps, "ccccccrc");
}

}  // namespace
}  // namespace bw::testing
