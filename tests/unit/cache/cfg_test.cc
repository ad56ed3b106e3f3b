// The unconditional prediction from the conditional one: the bands, and the site in a run.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/cache_trace.h"
#include "cache/cfg_delta.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

// A wave of `cycles` over the rows of one 20 × 20 frame; the radius of the low band is 4.
at::Tensor wave(double cycles) {
  const at::Tensor row = at::arange(20, at::kFloat) * (2 * M_PI * cycles / 20);
  return row.cos().reshape({1, 1, 1, 20, 1}).expand({1, 1, 1, 20, 20}).contiguous();
}

TEST(CfgBands, WavesInEitherBand_TakeTheirWeights) {
  const at::Tensor cond = at::full({1, 1, 1, 20, 20}, 0.5);
  const CfgWeights weights{.low = 2, .high = 3};
  for (const auto& [cycles, factor] : {std::pair{0.0, 2.0}, {4.0, 2.0}, {5.0, 3.0}, {10.0, 3.0}}) {
    const at::Tensor made = uncond_from_cond(cond, wave(cycles), weights);
    EXPECT_TRUE(at::allclose(made, cond + factor * wave(cycles), 0, 1e-5)) << cycles;
  }
}

TEST(CfgBands, EqualWeights_NeedNoBands) {
  const at::Tensor cond = seeded_randn({1, 2, 3, 6, 5}, 1),
                   delta = seeded_randn({1, 2, 3, 6, 5}, 2);
  EXPECT_TRUE(at::equal(uncond_from_cond(cond, delta, {}), cond + delta));
  EXPECT_TRUE(at::equal(uncond_from_cond(cond, delta, {0, 0}), cond));
  const at::Tensor almost = uncond_from_cond(cond, delta, {1, 1 + 1e-7});
  EXPECT_TRUE(at::allclose(almost, cond + delta, 0, 1e-5));
}

CacheNeeds cfg_needs() { return needs_of(Site::kCfg); }

EvaluationPlan derive_uncond(CfgWeights weights = {}) {
  EvaluationPlan plan;
  plan.branches[index_of(Branch::kUncond)] = {.reuse = Site::kCfg, .cfg = weights};
  return plan;
}

// By hand: ε_u = ε_c + Δ of the last evaluation that computed both.
TEST(CfgSite, HeldDifference_GivesTheUnconditionalPrediction) {
  for (const bool batched : {false, true}) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 4, .batched = batched}, &counts);
    CacheController cache(
        {std::make_unique<ScriptedPolicy>(
             cfg_needs(), std::map<std::int64_t, EvaluationPlan>{{1, derive_uncond()},
                                                                 {2, derive_uncond({0, 0})}}),
         {},
         std::nullopt,
         subject.layout});
    at::Tensor delta;
    for (const EvaluationContext& context : subject.layout.evaluations) {
      const at::Tensor x = subject.noise * context.sigma;
      const auto begin = [&](Branch branch) {
        return [&, branch] { return subject.begin({&branch, 1}, context, x, false); };
      };
      ASSERT_TRUE(cache.begin(context.index, x).run_branches);
      const bool derived = context.index == 1 || context.index == 2;
      ASSERT_EQ(cache.runs_batched(), batched && !derived);
      at::Tensor cond, uncond;
      if (cache.runs_batched()) {
        const at::Tensor both =
            cache.run_batched([&] { return subject.begin(kBranches, context, x, false); });
        cond = both.narrow(0, 0, 1);
        uncond = both.narrow(0, 1, 1);
      } else {
        cond = cache.run(Branch::kCond, begin(Branch::kCond));
        uncond = cache.run(Branch::kUncond, begin(Branch::kUncond));
      }
      if (context.index == 0) delta = uncond - cond;
      if (derived) {
        const at::Tensor expected = context.index == 1 ? cond + delta : cond;
        EXPECT_TRUE(at::equal(uncond, expected)) << "evaluation " << context.index;
      }
      (void)cache.guided(combine(cond, uncond));
      cache.end();
    }
    const CacheReport report = cache.report();
    EXPECT_EQ(report.totals.blocks_computed, 4 * 2 * 4 - 2 * 4);
    EXPECT_EQ(report.totals.peak_bytes, report.totals.declared_bytes);
    EXPECT_EQ(report.totals.declared_bytes, subject.layout.prediction_bytes);
  }
}

TEST(CfgSite, ConditionalBranchInATrace_IsRejected) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);
  const RunResult run = run_subject(
      subject, std::make_unique<ScriptedPolicy>(
                   cfg_needs(), std::map<std::int64_t, EvaluationPlan>{{1, derive_uncond()}}));
  Json trace = to_json(run.report);
  EXPECT_EQ(trace["evaluations"][1]["branches"]["uncond"]["reuse"], "cfg");
  trace["evaluations"][1]["branches"]["cond"] = trace["evaluations"][1]["branches"]["uncond"];
  EXPECT_THROW((void)trace_from_json(trace, Origin::file("trace")), InputError);
}

}  // namespace
}  // namespace bw::testing
