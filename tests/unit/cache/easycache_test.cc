// EasyCache's decisions on scripted signals, by hand from
//   acc += κ·|Δz| / |v|; acc < threshold ? reuse : (compute; acc = 0),
// and the signals of the latents against their definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

std::string decide(const char* params, std::int64_t steps,
                   const std::function<std::optional<LatentSignals>(std::int64_t)>& script) {
  const Origin origin = Origin::flag("--cache easycache");
  const CachePolicyInfo& info = find_cache_policy("easycache", origin);
  const auto policy = info.make(info.resolve(Json::parse(params), origin), origin, {steps, {4}});
  std::string letters;
  for (std::int64_t step = 0; step < steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = steps;
    if (step > 0) context.latents = script(step);
    const EvaluationPlan plan = policy->begin(context);
    EXPECT_EQ(plan.branches[0], plan.branches[1]) << "one verdict for both branches";
    Observation observation;
    for (BranchObservation& branch : observation.branches) {
      branch = {true, plan.branches[0], {}, 0};
    }
    policy->observe(context, observation);
    letters += plan.branches[0].reuse == Site::kBranch ? 'r' : 'c';
  }
  return letters;
}

// κ = 2, |Δz| = 0.01, |v| = 1: every step adds 0.02.
std::optional<LatentSignals> steady(std::int64_t step) {
  LatentSignals signals{0.01, 1.0, std::nullopt};
  if (step >= 2) signals.rate = 2.0;  // two computed steps are needed
  return signals;
}

TEST(Easycache_Sum, SteadyChange_ReusesUntilTheThreshold) {
  // 0.02, 0.04 are below 0.05, 0.06 is not. Steps 0 and 1 know no rate; the last is computed.
  EXPECT_EQ(decide(R"({"threshold": 0.05, "retain_first": "1"})", 12, steady), "ccrrcrrcrrcc");
}

TEST(Easycache_Sum, FirstStepsAreRetained) {
  EXPECT_EQ(decide(R"({"threshold": 0.05, "retain_first": "50%"})", 10, steady), "cccccrrcrc");
  EXPECT_EQ(decide(R"({"threshold": 9, "retain_first": "3", "retain_last": 2})", 8, steady),
            "cccrrrcc");
}

TEST(Easycache_Sum, UnknownOrZero_Computes) {
  const auto none = [](std::int64_t) { return std::optional<LatentSignals>(); };
  EXPECT_EQ(decide(R"({"threshold": 9, "retain_first": "1"})", 5, none), "ccccc");
  const auto zero = [](std::int64_t) { return LatentSignals{0.1, 0.0, 1.0}; };
  EXPECT_EQ(decide(R"({"threshold": 9, "retain_first": "1"})", 5, zero), "ccccc");
  EXPECT_EQ(decide(R"({"threshold": 0, "retain_first": "1"})", 5, steady), "ccccc");
}

double mean_abs(const at::Tensor& tensor) { return tensor.abs().mean().item<double>(); }

TEST(LatentSignals, AgreeWithTheirDefinition) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 6}, &counts);
  CacheNeeds needs;
  needs.sites = {Site::kBranch};
  needs.rebuild = Rebuild::parse("residual", Origin::flag("test"));
  needs.latents = true;
  // Steps 2 and 3 are reused.
  std::map<std::int64_t, EvaluationPlan> plans = {{2, reuse_both(Site::kBranch)},
                                                  {3, reuse_both(Site::kBranch)}};
  const RunResult run =
      run_subject(subject, std::make_unique<ScriptedPolicy>(needs, plans), {.fixed_inputs = true});
  std::vector<at::Tensor> z = {subject.noise};
  for (std::size_t step = 1; step < 6; ++step) {
    z.push_back(subject.noise * (0.5 + subject.layout.evaluations[step].sigma));
  }
  const std::vector<at::Tensor>& v = run.cond;
  EXPECT_FALSE(run.report.evaluations[0].context.latents.has_value());
  // The last two computed steps before each step, where there are two.
  const std::vector<std::pair<int, int>> computed = {{-1, -1}, {-1, 0}, {0, 1},
                                                     {0, 1},   {0, 1},  {1, 4}};
  for (std::size_t step = 1; step < 6; ++step) {
    const auto& signals = run.report.evaluations[step].context.latents;
    ASSERT_TRUE(signals.has_value()) << step;
    EXPECT_NEAR(signals->change, mean_abs(z[step] - z[step - 1]), 1e-6) << step;
    const auto last = static_cast<std::size_t>(computed[step].second);
    EXPECT_NEAR(signals->size, mean_abs(v[last]), 1e-6) << step;
    ASSERT_EQ(signals->rate.has_value(), computed[step].first >= 0) << step;
    if (!signals->rate) continue;
    const auto before = static_cast<std::size_t>(computed[step].first);
    EXPECT_NEAR(*signals->rate, mean_abs(v[last] - v[before]) / mean_abs(z[last] - z[before]), 1e-5)
        << step;
  }
  // What is reused is v of step 1 as a residual over the latents.
  EXPECT_TRUE(at::allclose(v[2], z[2] + (v[1] - z[1]), 1e-6, 1e-6));
}

}  // namespace
}  // namespace bw::testing
