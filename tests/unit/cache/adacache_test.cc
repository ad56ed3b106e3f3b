// AdaCache's decisions by hand from the released code's rule: compute at steps 0, T−2, T−1 and at
// last + rate; c = distance / scheduled rate looks the next rate up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "policy_script.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

struct Signal {
  double distance = 0;
  std::optional<double> motion;
};

std::string decide(const char* params, std::int64_t steps,
                   const std::function<Signal(std::int64_t)>& script) {
  const auto policy = make_policy_from("adacache", Json::parse(params), steps);
  std::string letters;
  bool first = true;
  for (std::int64_t step = 0; step < steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = steps;
    const EvaluationPlan plan = policy->begin(context);
    Observation observation;
    for (BranchObservation& branch : observation.branches) {
      branch = {true, plan.branches[0], {}, 0, std::nullopt};
      if (plan.branches[0].reuse != Site::kNone) continue;
      if (!first) branch.distances = {script(step).distance};
      branch.motion = script(step).motion;
    }
    first = false;
    policy->observe(context, observation);
    letters += plan.branches[0].reuse == Site::kStack ? 'r' : 'c';
  }
  return letters;
}

const char* const kCodebook = R"({"codebook": "0.1:4;0.2:2;1:1", "motion": false})";

TEST(Adacache_Codebook, SmallChange_CoastsForTheRate) {
  // Step 1 is computed, as the first rate is 1; c = 0.05 gives rate 4: 5, then 0.05 / 4 again: 9.
  EXPECT_EQ(decide(kCodebook, 14, [](std::int64_t) { return Signal{0.05, {}}; }), "ccrrrcrrrcrrcc");
}

TEST(Adacache_Codebook, ChangeIsDividedByTheScheduledRate) {
  // 0.15: rate 2, computed at 3; there 0.3 / 2 = 0.15: rate 2 again.
  const auto script = [](std::int64_t step) { return Signal{step == 1 ? 0.15 : 0.3, {}}; };
  EXPECT_EQ(decide(kCodebook, 10, script), "ccrcrcrccc");
}

TEST(Adacache_Codebook, LargeOrUnknownChange_ComputesEveryStep) {
  EXPECT_EQ(decide(kCodebook, 7, [](std::int64_t) { return Signal{5, {}}; }), "ccccccc");
  EXPECT_EQ(decide(kCodebook, 7, [](std::int64_t) { return Signal{std::nan(""), {}}; }), "ccccccc");
}

TEST(Adacache_Motion, FactorIsMotionAndItsGradient) {
  // Motion at its scale: m = 1, no gradient: c stays 0.05. Twice the scale: m = 256: c is far
  // above.
  const char* params = R"({"codebook": "0.1:3;1:1", "motion_start": 0, "motion_end": 1})";
  EXPECT_EQ(decide(params, 10, [](std::int64_t) { return Signal{0.05, 0.385}; }), "ccrrcrrccc");
  EXPECT_EQ(decide(params, 10, [](std::int64_t) { return Signal{0.05, 0.77}; }), "cccccccccc");
  // At step 1 m jumps from 1 to 1.1: factor 1.1 + |10 · 0.1 / 1| = 2.1, c = 0.105.
  const double jump = 0.385 * std::pow(1.1, 1.0 / 8);
  const auto jumps = [&](std::int64_t step) { return Signal{0.05, step == 0 ? 0.385 : jump}; };
  EXPECT_EQ(decide(params, 8, jumps), "cccrrccc");
  // Outside its window motion does not count.
  const char* outside = R"({"codebook": "0.1:3;1:1", "motion_start": 0.9, "motion_end": 1})";
  EXPECT_EQ(decide(outside, 10, [](std::int64_t) { return Signal{0.05, 0.77}; }), "ccrrcrrccc");
}

TEST(Adacache_Params, BadCodebook_IsRefused) {
  for (const char* params :
       {R"({"codebook": ""})", R"({"codebook": "0.1"})", R"({"codebook": "0.2:3;0.1:2"})",
        R"({"codebook": "0.1:0"})", R"({"codebook": "x:3"})", R"({"codebook": "0.1:3x"})"}) {
    EXPECT_THROW((void)make_policy_from("adacache", Json::parse(params), 10), UsageError) << params;
  }
}

TEST(StageResidual, DistanceAndMotion_AgreeWithTheirDefinition) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 4}, &counts);
  subject.layout.experts.front().grid = {3, 1, 2};  // of two tokens each
  const RunResult run =
      run_subject(subject, make_policy_from("adacache", Json::parse(R"({"codebook": "9:1"})"), 4),
                  {.fixed_inputs = true});
  std::vector<Hidden> residuals;
  for (const EvaluationContext& context : subject.layout.evaluations) {
    const at::Tensor x = context.index == 0 ? subject.noise : subject.noise * (0.5 + context.sigma);
    const auto pass = subject.begin({&kBranches[0], 1}, context, x, false);
    Hidden hidden = pass->embed();
    hidden = pass->run_block(0, hidden);
    const StageResult stage = pass->run_stage(1, 0, hidden);  // block 2 of 4
    residuals.push_back({stage.output[0] * stage.gate[0], stage.output[1] * stage.gate[1]});
  }
  for (std::size_t step = 1; step < 4; ++step) {
    double difference = 0;
    double size = 0;
    for (std::size_t i = 0; i < 2; ++i) {
      const at::Tensor& before = residuals[step - 1][i];
      difference += (residuals[step][i] - before).abs().sum().item<double>();
      size += before.abs().sum().item<double>();
    }
    const BranchRecord& cond = run.report.evaluations[step].branches.front();
    ASSERT_EQ(cond.distances.size(), 1);
    EXPECT_NEAR(cond.distances.front(), difference / size, 1e-5) << step;
    const at::Tensor frames = residuals[step][0].reshape({3, 2, -1});
    const at::Tensor later = frames.narrow(0, 1, 2);
    const at::Tensor earlier = frames.narrow(0, 0, 2);
    const double motion =
        ((later - earlier).abs().sum() / (later.abs().sum() + earlier.abs().sum())).item<double>();
    ASSERT_TRUE(cond.motion.has_value());
    EXPECT_NEAR(*cond.motion, motion, 1e-5) << step;
  }
}

}  // namespace
}  // namespace bw::testing
