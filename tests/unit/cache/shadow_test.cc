// What a shadow run measures, against a run that computes everything. That it changes nothing is a
// conformance test.
#include "cache/shadow.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

double relative(const at::Tensor& reused, const at::Tensor& computed) {
  return ((reused - computed).abs().sum() / computed.abs().sum()).item<double>();
}

// Inputs follow the schedule alone, so that a run that reuses meets the same inputs as one that
// computes.
RunResult run_at(const CacheSubject& subject, Site site, std::vector<std::int64_t> steps) {
  std::map<std::int64_t, EvaluationPlan> plans;
  for (const std::int64_t step : steps) plans[step] = reuse_both(site);
  return run_subject(subject, std::make_unique<ScriptedPolicy>(needs_of(site), plans),
                     {.fixed_inputs = true, .shadow = true});
}

TEST(Shadow, HeldPrediction_IsOffByItsDistanceToTheComputedOne) {
  for (const bool batched : {false, true}) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 4, .batched = batched}, &counts);
    const RunResult exact = run_at(subject, Site::kBranch, {});
    const RunResult held = run_at(subject, Site::kBranch, {2, 3});
    for (const std::size_t step : {2, 3}) {
      const std::vector<double>& errors = held.report.evaluations[step].branches[0].errors;
      ASSERT_EQ(errors.size(), 1);
      EXPECT_NEAR(errors[0], relative(exact.cond[1], exact.cond[step]), 1e-6) << step;
    }
    EXPECT_EQ(held.report.shadow->values, 4);
    EXPECT_GE(held.report.shadow->worst, held.report.shadow->mean);
    EXPECT_GT(held.report.shadow->mean, 0);
  }
}

TEST(Shadow, ModelThatStandsStill_IsNotOffAtAnySite) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);
  for (EvaluationContext& context : subject.layout.evaluations) context.sigma = 0.5;
  for (const Site site : {Site::kGuided, Site::kBranch, Site::kStack}) {
    const RunResult run = run_at(subject, site, {1, 2});
    ASSERT_TRUE(run.report.shadow) << site_name(site);
    EXPECT_GT(run.report.shadow->values, 0) << site_name(site);
    EXPECT_EQ(run.report.shadow->worst, 0) << site_name(site);
  }
}

TEST(Shadow, GuidedPrediction_IsComparedWithTheCombinedOne) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 3, .guidance_end = 0}, &counts);
  const RunResult exact = run_at(subject, Site::kGuided, {});
  const RunResult held = run_at(subject, Site::kGuided, {1});
  ASSERT_TRUE(held.report.evaluations[1].guided_error);
  EXPECT_NEAR(*held.report.evaluations[1].guided_error, relative(exact.cond[0], exact.cond[1]),
              1e-6);
  EXPECT_FALSE(held.report.evaluations[2].guided_error);
  EXPECT_EQ(to_json(held.report)["shadow"]["values"], 1);
}

TEST(Shadow, WithoutIt_NothingIsComputedOrReported) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);
  const std::map<std::int64_t, EvaluationPlan> plans = {{1, reuse_both(Site::kStack)}};
  const RunResult run =
      run_subject(subject, std::make_unique<ScriptedPolicy>(needs_of(Site::kStack), plans));
  EXPECT_FALSE(run.report.shadow);
  EXPECT_FALSE(to_json(run.report).contains("shadow"));
  EXPECT_TRUE(run.report.evaluations[1].branches[0].errors.empty());
}

// By hand: |3 − 2| + |1 − 2| + |5 − 4| over |2| + |2| + |4|.
TEST(Shadow, RelativeError_SumsOverStreams) {
  const Hidden reused = {at::tensor({3.0F, 1.0F}), at::tensor({5.0F})};
  const Hidden computed = {at::tensor({2.0F, 2.0F}), at::tensor({4.0F})};
  EXPECT_NEAR(relative_error(reused, computed), 3.0 / 8.0, 1e-7);
}

}  // namespace
}  // namespace bw::testing
