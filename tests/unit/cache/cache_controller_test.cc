// The controller on scripted plans: what runs, what is overruled and why, what the policy is told.
#include "cache/cache_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

using Plans = std::map<std::int64_t, EvaluationPlan>;

struct Scripted {
  RunResult run;
  CallCounts counts;
  std::vector<Observation> seen;
};

Scripted run_scripted(const SubjectOptions& subject, CacheNeeds needs, Plans plans,
                      const RunOptions& options = {}) {
  Scripted result;
  const CacheSubject model = make_fake_subject(subject, &result.counts);
  result.run = run_subject(
      model, std::make_unique<ScriptedPolicy>(std::move(needs), std::move(plans), &result.seen),
      options);
  return result;
}

const BranchRecord& record(const Scripted& scripted, std::size_t evaluation, Branch branch) {
  return scripted.run.report.evaluations.at(evaluation).branches.at(index_of(branch));
}

TEST(CacheController_Run, ReusedPrediction_BeginsNoPass) {
  const Scripted result =
      run_scripted({.num_steps = 3}, needs_of(Site::kBranch), {{1, reuse_both(Site::kBranch)}});
  EXPECT_EQ(result.counts.passes, 4) << "two steps of two branches";
  EXPECT_TRUE(at::equal(result.run.cond[1], result.run.cond[0]));
}

TEST(CacheController_Run, ReusedStack_RunsHeadAndOnlyWhatTheRebuildNeeds) {
  const Scripted output = run_scripted({.num_steps = 3}, needs_of(Site::kStack, "output"),
                                       {{1, reuse_both(Site::kStack)}});
  EXPECT_EQ(output.counts.heads, 6);
  EXPECT_EQ(output.counts.embeds, 4) << "a held output needs no input";
  EXPECT_EQ(output.counts.blocks, 4 * 4);
  const Scripted residual = run_scripted({.num_steps = 3}, needs_of(Site::kStack, "residual"),
                                         {{1, reuse_both(Site::kStack)}});
  EXPECT_EQ(residual.counts.embeds, 6);
  EXPECT_EQ(residual.counts.blocks, 4 * 4);
}

TEST(CacheController_Run, ReusedGuidedPrediction_RunsNoBranch) {
  const Scripted result =
      run_scripted({.num_steps = 3}, needs_of(Site::kGuided), {{1, reuse_both(Site::kGuided)}});
  EXPECT_EQ(result.counts.passes, 4);
  EXPECT_TRUE(result.run.report.evaluations[1].guided_reused);
  EXPECT_TRUE(result.seen[1].guided_reused);
  EXPECT_FALSE(result.seen[1].branches[0].ran);
}

TEST(CacheController_Run, ReusedBlocks_LeaveTheOthersRunning) {
  CacheNeeds needs = needs_of(Site::kBlock, "residual");
  needs.reusable_blocks = {{1, 2}};
  EvaluationPlan plan = reuse_both(Site::kBlock);
  for (BranchPlan& branch : plan.branches) branch.blocks = {false, true, true, false};
  const Scripted result = run_scripted({.num_steps = 2}, needs, {{1, plan}});
  EXPECT_EQ(result.counts.blocks, 2 * 4 + 2 * 2);
  EXPECT_EQ(result.run.report.totals.blocks_computed, 12);
  EXPECT_EQ(result.run.report.totals.blocks, 16);
}

// Collapse identity: reusing every block's residual equals reusing the stack's, up to rounding.
TEST(CacheController_Run, AllBlockResiduals_EqualTheStackResidual) {
  CacheNeeds needs = needs_of(Site::kBlock, "residual");
  needs.reusable_blocks = {{0, 1, 2, 3}};
  EvaluationPlan plan = reuse_both(Site::kBlock);
  for (BranchPlan& branch : plan.branches) branch.blocks.assign(4, true);
  const Scripted blocks = run_scripted({.num_steps = 6}, needs, {{2, plan}, {3, plan}});
  const Scripted stack =
      run_scripted({.num_steps = 6}, needs_of(Site::kStack, "residual"),
                   {{2, reuse_both(Site::kStack)}, {3, reuse_both(Site::kStack)}});
  EXPECT_TRUE(at::allclose(blocks.run.latents, stack.run.latents, 1e-5, 1e-6));
}

// A stack in which a block was reused is no sample of the stack: the anchor stays that of step 0.
TEST(CacheController_Run, PartlyReusedStack_IsNoAnchor) {
  CacheNeeds needs = needs_of(Site::kStack);
  needs.sites = {Site::kStack, Site::kBlock};
  needs.reusable_blocks = {{1}};
  EvaluationPlan partly = reuse_both(Site::kBlock);
  for (BranchPlan& branch : partly.branches) branch.blocks = {false, true, false, false};
  const Scripted result =
      run_scripted({.num_steps = 3}, needs, {{1, partly}, {2, reuse_both(Site::kStack)}},
                   {.fixed_inputs = true});
  EXPECT_FALSE(at::equal(result.run.cond[1], result.run.cond[0]));
  EXPECT_TRUE(at::equal(result.run.cond[2], result.run.cond[0]));
}

TEST(CacheController_Begin, NoAnchor_Computes) {
  const Scripted result =
      run_scripted({.num_steps = 2}, needs_of(Site::kStack), {{0, reuse_both(Site::kStack)}});
  EXPECT_EQ(decisions(result.run.report), "cc");
  EXPECT_EQ(record(result, 0, Branch::kCond).reason, "no anchor");
  EXPECT_EQ(record(result, 1, Branch::kCond).reason, "policy");
  EXPECT_EQ(result.seen[0].branches[0].done.reuse, Site::kNone)
      << "the policy learns what was done";
}

TEST(CacheController_Begin, Guard_OverrulesAndThePolicyLearns) {
  const Plans plans = {
      {1, reuse_both(Site::kStack)}, {2, reuse_both(Site::kStack)}, {3, reuse_both(Site::kStack)}};
  const struct {
    const char* reason;
    CacheGuards guards;
    const char* expected;
  } rows[] = {{"warmup", {.warmup = 2}, "ccrr"},
              {"cooldown", {.cooldown = 2}, "crcc"},
              {"window", {.start = 0.5, .end = 0.75}, "ccrc"},
              {"max_consecutive", {.max_consecutive = 1}, "crcr"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const Scripted result =
        run_scripted({.num_steps = 4}, needs_of(Site::kStack), plans, {.guards = row.guards});
    EXPECT_EQ(decisions(result.run.report), row.expected);
    for (std::size_t i = 1; i < 4; ++i) {
      const bool reused = row.expected[i] == 'r';
      EXPECT_EQ(record(result, i, Branch::kCond).reason, reused ? "policy" : row.reason);
      EXPECT_EQ(result.seen[i].branches[0].done.reuse, reused ? Site::kStack : Site::kNone);
    }
  }
}

// Four steps; guidance is off at step 1 alone.
TEST(CacheController_Begin, GuidanceInterval_LeftOutBranchLosesItsAnchor) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 4}, &counts);
  subject.layout.evaluations[1].guided = false;
  const RunResult run = run_subject(
      subject, std::make_unique<ScriptedPolicy>(
                   needs_of(Site::kStack),
                   Plans{{2, reuse_both(Site::kStack)}, {3, reuse_both(Site::kStack)}}));
  const EvaluationRecord& back = run.report.evaluations[2];
  EXPECT_EQ(back.branches[0].done.reuse, Site::kStack);
  EXPECT_EQ(back.branches[1].done.reuse, Site::kNone);
  EXPECT_EQ(back.branches[1].reason, "no anchor");
  EXPECT_EQ(run.report.evaluations[3].branches[1].done.reuse, Site::kStack);
}

TEST(CacheController_Begin, GuidanceSwitched_GuidedPredictionIsStale) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 4}, &counts);
  subject.layout.evaluations[2].guided = subject.layout.evaluations[3].guided = false;
  const RunResult run =
      run_subject(subject, std::make_unique<ScriptedPolicy>(needs_of(Site::kGuided),
                                                            Plans{{1, reuse_both(Site::kGuided)},
                                                                  {2, reuse_both(Site::kGuided)},
                                                                  {3, reuse_both(Site::kGuided)}}));
  EXPECT_EQ(decisions(run.report), "crcr");
  EXPECT_EQ(run.report.evaluations[2].guided_reason, "no anchor");
}

TEST(CacheController_Heun, Parts_HaveTheirOwnAnchors) {
  const Scripted result =
      run_scripted({.num_steps = 3, .heun = true}, needs_of(Site::kBranch),
                   {{2, reuse_both(Site::kBranch)}, {3, reuse_both(Site::kBranch)}});
  EXPECT_EQ(decisions(result.run.report), "ccrrc");
  EXPECT_TRUE(at::equal(result.run.cond[2], result.run.cond[0]));
  EXPECT_TRUE(at::equal(result.run.cond[3], result.run.cond[1]));
  EXPECT_FALSE(at::equal(result.run.cond[2], result.run.cond[3]));
}

TEST(CacheController_Experts, Switch_FindsNoAnchor) {
  const Plans plans = {
      {1, reuse_both(Site::kStack)}, {2, reuse_both(Site::kStack)}, {3, reuse_both(Site::kStack)}};
  const Scripted result =
      run_scripted({.num_steps = 4, .num_experts = 2}, needs_of(Site::kStack), plans);
  EXPECT_EQ(decisions(result.run.report), "crcr");
}

TEST(CacheController_Batched, PlansDisagree_ComputesBoth) {
  EvaluationPlan plan;
  plan.branches[0].reuse = Site::kStack;
  const Scripted result =
      run_scripted({.num_steps = 2, .batched = true}, needs_of(Site::kStack), {{1, plan}});
  EXPECT_EQ(decisions(result.run.report), "cc");
  EXPECT_EQ(record(result, 1, Branch::kCond).reason, "batched");
  EXPECT_EQ(record(result, 1, Branch::kUncond).reason, "policy");
  const Scripted separate = run_scripted({.num_steps = 2}, needs_of(Site::kStack), {{1, plan}});
  EXPECT_EQ(record(separate, 1, Branch::kCond).done.reuse, Site::kStack);
}

CacheNeeds probing(SignalKind kind) {
  CacheNeeds needs = needs_of(Site::kStack);
  needs.signal.kind = kind;
  needs.signal.blocks = {{0, 3}};
  return needs;
}

// Σ|f − f_ref| / Σ|f_ref| by another walk of the model, in double.
double expected_distance(const CacheSubject& subject, std::size_t now, std::size_t before,
                         std::pair<Branch, std::size_t> probe) {
  std::vector<std::vector<at::Tensor>> outputs;
  for (const std::size_t evaluation : {now, before}) {
    const EvaluationContext& context = subject.layout.evaluations[evaluation];
    const auto pass =
        subject.begin({&probe.first, 1}, context, subject.noise * (0.5 + context.sigma), false);
    Hidden hidden = pass->embed();
    for (std::size_t block = 0; block <= probe.second; ++block) {
      hidden = pass->run_block(block, hidden);
    }
    outputs.push_back(hidden);
  }
  double difference = 0;
  double reference = 0;
  for (std::size_t stream = 0; stream < outputs[0].size(); ++stream) {
    const at::Tensor older = outputs[1][stream].to(at::kDouble);
    difference += (outputs[0][stream].to(at::kDouble) - older).abs().sum().item<double>();
    reference += older.abs().sum().item<double>();
  }
  return difference / reference;
}

// Inputs are noise·(0.5 + sigma of the evaluation), as run_subject gives them after the first.
TEST(CacheController_Signal, BlockOutput_IsDividedByTheOlderTensor) {
  for (const bool batched : {false, true}) {
    SCOPED_TRACE(batched ? "batched" : "separate");
    const SubjectOptions options{.num_steps = 5, .batched = batched};
    const Scripted result = run_scripted(options, probing(SignalKind::kBlockOutput),
                                         {{2, reuse_both(Site::kStack)}}, {.fixed_inputs = true});
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 5}, &counts);
    for (const Branch branch : kBranches) {
      EXPECT_TRUE(record(result, 0, branch).distances.empty()) << "no predecessor";
      EXPECT_TRUE(record(result, 2, branch).distances.empty()) << "reused";
      const BranchRecord& after = record(result, 3, branch);
      EXPECT_EQ(after.gap, 2) << "against the last computed step";
      ASSERT_EQ(after.distances.size(), 2U);
      EXPECT_NEAR(after.distances[0], expected_distance(subject, 3, 1, {branch, 0}), 1e-5);
      EXPECT_NEAR(after.distances[1], expected_distance(subject, 3, 1, {branch, 3}), 1e-5);
      EXPECT_EQ(record(result, 4, branch).gap, 1);
      EXPECT_NEAR(record(result, 4, branch).distances[1],
                  expected_distance(subject, 4, 3, {branch, 3}), 1e-5);
    }
  }
}

TEST(CacheController_Signal, AttentionInput_ProbesOnlyComputedBlocks) {
  const Scripted result = run_scripted({.num_steps = 3}, probing(SignalKind::kAttentionInput),
                                       {{1, reuse_both(Site::kStack)}});
  EXPECT_EQ(result.counts.probes, 2 * 2 * 2) << "two steps, two branches, two blocks";
  EXPECT_EQ(record(result, 2, Branch::kCond).gap, 2);
}

TEST(CacheController_Signal, NotMeasured_StartsAnew) {
  EvaluationPlan blind;
  blind.measure = false;
  const Scripted result =
      run_scripted({.num_steps = 4}, probing(SignalKind::kBlockOutput), {{1, blind}});
  EXPECT_TRUE(record(result, 1, Branch::kCond).distances.empty());
  EXPECT_TRUE(record(result, 2, Branch::kCond).distances.empty()) << "its reference was dropped";
  EXPECT_EQ(record(result, 3, Branch::kCond).gap, 1);
}

TEST(CacheController_Signal, NonFiniteTensors_GiveNonFiniteDistances) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);
  subject.noise = at::full_like(subject.noise, std::numeric_limits<float>::quiet_NaN());
  const RunResult run = run_subject(
      subject, std::make_unique<ScriptedPolicy>(probing(SignalKind::kBlockOutput), Plans()));
  for (const double distance : run.report.evaluations[1].branches[0].distances) {
    EXPECT_FALSE(std::isfinite(distance));
  }
  EXPECT_FALSE(run.report.indicator_quantile(0.5).has_value());
  EXPECT_TRUE(to_json(run.report)["evaluations"][1]["branches"]["cond"]["indicator"].is_null());
}

TEST(CacheController_ModelWork, CountsRowsOfWhatRan) {
  for (const bool batched : {false, true}) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 4, .batched = batched}, &counts);
    Plans plans = {{2, reuse_both(Site::kStack)}};
    const RunResult run = run_subject(
        subject, std::make_unique<ScriptedPolicy>(needs_of(Site::kStack), std::move(plans)));
    const ModelWorks& model = run.report.totals.model;
    EXPECT_EQ(model.head.rows, 8) << "two branches, four evaluations";
    EXPECT_EQ(model.blocks.at("fake").rows, 2 * 3 * 4) << "four blocks; evaluation 2 is reused";
    EXPECT_GT(model.blocks.at("fake").seconds, 0);
  }
}

TEST(CacheController_Misuse, WrongOrder_IsABug) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);
  const auto make = [&] {
    return std::make_unique<CacheController>(
        CacheSetup{std::make_unique<ScriptedPolicy>(needs_of(Site::kStack), Plans()),
                   {},
                   std::nullopt,
                   subject.layout});
  };
  const auto pass = [&] {
    return subject.begin({&kBranches[0], 1}, subject.layout.evaluations[0], subject.noise, false);
  };
  EXPECT_THROW(make()->begin(1, subject.noise), InternalError) << "evaluations are in order";
  EXPECT_THROW(make()->end(), InternalError) << "nothing was begun";
  auto cache = make();
  cache->begin(0, subject.noise);
  EXPECT_THROW(cache->begin(1, subject.noise), InternalError) << "evaluation 0 is still open";
  EXPECT_THROW((void)cache->run_batched(pass), InternalError) << "the layout is not batched";
  (void)cache->run(Branch::kCond, pass);
  EXPECT_THROW((void)cache->run(Branch::kCond, pass), InternalError) << "a branch runs once";
  EXPECT_THROW((void)cache->guided({}), InternalError) << "branches ran";
  EXPECT_THROW(cache->end(), InternalError) << "the unconditional branch did not run";
}

}  // namespace
}  // namespace bw::testing
