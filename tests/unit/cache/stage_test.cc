// Reuse of single stages: what runs, which gate is applied, what is kept, recorded and replayed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "cache/cache_trace.h"
#include "cache/replay.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

constexpr std::size_t kNumBlocks = 4;  // of the fake model, each with the stages mix and feed

// Both branches reuse the same stages in every block.
EvaluationPlan reuse_stages(bool mix, bool feed) {
  EvaluationPlan plan = reuse_both(Site::kStage);
  for (BranchPlan& branch : plan.branches) branch.stages.assign(kNumBlocks, {mix, feed});
  return plan;
}

CacheNeeds needs_stages(std::string_view rebuild = "output") {
  CacheNeeds needs = needs_of(Site::kStage, rebuild);
  needs.reusable_stages.emplace_back();
  for (std::size_t block = 0; block < kNumBlocks; ++block) {
    needs.reusable_stages.back().push_back({block, 0});
    needs.reusable_stages.back().push_back({block, 1});
  }
  return needs;
}

struct Scripted {
  RunResult run;
  CallCounts counts;
};

Scripted run_scripted(std::int64_t num_steps, CacheNeeds needs,
                      std::map<std::int64_t, EvaluationPlan> plans,
                      const RunOptions& options = {}) {
  Scripted result;
  const CacheSubject subject = make_fake_subject({.num_steps = num_steps}, &result.counts);
  result.run = run_subject(
      subject, std::make_unique<ScriptedPolicy>(std::move(needs), std::move(plans)), options);
  return result;
}

TEST(StageReuse_Run, ReusedStages_LeaveTheOthersRunning) {
  const Scripted result = run_scripted(2, needs_stages(), {{1, reuse_stages(true, false)}});
  EXPECT_EQ(result.counts.blocks, 0) << "blocks with reusable stages are walked by stages";
  EXPECT_EQ(result.counts.stages, 2 * (4 * 2 + 4)) << "two branches: all, then every feed";
  const CacheTotals& totals = result.run.report.totals;
  EXPECT_EQ(totals.blocks, 2 * 2 * 4);
  EXPECT_EQ(totals.blocks_computed, totals.blocks) << "something of each was computed";
  EXPECT_EQ(totals.stages_reused, 2 * 4);
  EXPECT_DOUBLE_EQ(result.run.report.reused_fraction(), 0.25);
  EXPECT_FALSE(result.run.report.inert());
}

TEST(StageReuse_Run, BlocksWithoutReusableStages_RunWhole) {
  CacheNeeds needs = needs_of(Site::kStage);
  needs.reusable_stages = {{{2, 1}}};
  const Scripted result = run_scripted(2, needs, {});
  EXPECT_EQ(result.counts.blocks, 2 * 2 * 3);
  EXPECT_EQ(result.counts.stages, 2 * 2 * 2);
}

// The walk of step 1 by hand: mix as it came out at step 0, the gate of step 1, feed anew.
TEST(StageReuse_Run, HeldOutput_IsAddedWithTheCurrentGate) {
  const Scripted result =
      run_scripted(2, needs_stages(), {{1, reuse_stages(true, false)}}, {.fixed_inputs = true});
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 2}, &counts);
  std::vector<Hidden> held;
  at::Tensor expected;
  for (const EvaluationContext& context : subject.layout.evaluations) {
    // run_subject starts from the noise, then gives noise·(0.5 + sigma).
    const at::Tensor input =
        context.index == 0 ? subject.noise : subject.noise * (0.5 + context.sigma);
    const auto pass = subject.begin({&kBranches[0], 1}, context, input, false);
    Hidden hidden = pass->embed();
    for (std::size_t block = 0; block < kNumBlocks; ++block) {
      StageResult mix = pass->run_stage(block, 0, hidden);
      if (context.index == 0) {
        held.push_back(mix.output);
      } else {
        EXPECT_NE(mix.gate[0].item<float>(), 0.2F + 0.1F) << "the gate depends on the time";
        mix.output = held[block];
      }
      hidden = pass->add_stage(block, 0, hidden, mix);
      hidden = pass->add_stage(block, 1, hidden, pass->run_stage(block, 1, hidden));
    }
    expected = pass->head(hidden);
  }
  EXPECT_TRUE(at::equal(result.run.cond[1], expected));
}

TEST(StageReuse_Run, LinearRebuild_ExtrapolatesTheOutput) {
  const Scripted hold = run_scripted(4, needs_stages("output"), {{2, reuse_stages(true, true)}});
  const Scripted line = run_scripted(4, needs_stages("linear"), {{2, reuse_stages(true, true)}});
  EXPECT_TRUE(at::equal(hold.run.cond[1], line.run.cond[1]));
  EXPECT_FALSE(at::equal(hold.run.cond[2], line.run.cond[2]));
  const Scripted exact = run_scripted(4, needs_stages(), {});
  const at::Tensor truth = exact.run.cond[2];
  const auto error = [&](const Scripted& run) {
    return (run.run.cond[2] - truth).abs().max().item<double>();
  };
  EXPECT_LT(error(line), error(hold)) << "the fake model moves smoothly";
}

TEST(StageReuse_Run, PartlyReusedBlock_IsNoSampleOfItself) {
  CacheNeeds needs = needs_stages();
  needs.sites = {Site::kStage, Site::kBlock};
  needs.reusable_blocks = {{0, 1, 2, 3}};
  needs.signal = {.kind = SignalKind::kBlockOutput, .blocks = {{3}}};
  EvaluationPlan whole = reuse_both(Site::kBlock);
  for (BranchPlan& branch : whole.branches) branch.blocks.assign(kNumBlocks, true);
  const Scripted result =
      run_scripted(3, needs, {{1, reuse_stages(true, false)}, {2, whole}}, {.fixed_inputs = true});
  EXPECT_TRUE(result.run.report.evaluations[1].branches[0].distances.empty()) << "not measured";
  EXPECT_TRUE(at::equal(result.run.cond[2], result.run.cond[0])) << "the blocks of step 0";
}

TEST(StageReuse_Begin, WithoutAnchor_OrGuarded_Computes) {
  const Scripted first = run_scripted(2, needs_stages(), {{0, reuse_stages(true, true)}});
  EXPECT_EQ(decisions(first.run.report), "cc");
  EXPECT_EQ(first.run.report.evaluations[0].branches[0].reason, "no anchor");
  const Scripted guarded =
      run_scripted(2, needs_stages(), {{1, reuse_stages(true, true)}}, {.guards = {.cooldown = 1}});
  EXPECT_EQ(decisions(guarded.run.report), "cc");
  EXPECT_EQ(guarded.run.report.evaluations[1].branches[0].reason, "cooldown");
  EXPECT_EQ(guarded.run.report.totals.declared_bytes, 0U) << "nothing could be read";
}

TEST(StageReuse_Begin, UndeclaredStage_IsABug) {
  CacheNeeds needs = needs_of(Site::kStage);
  needs.reusable_stages = {{{0, 0}}};
  EXPECT_THROW((void)run_scripted(2, needs, {{1, reuse_stages(true, false)}}), InternalError);
}

// Hidden state of one branch: (6 + 3) tokens of 8 floats.
TEST(StageReuse_Memory, EveryReusableStage_IsDeclared) {
  constexpr std::uint64_t kHidden = 9 * 8 * 4;
  const Scripted hold = run_scripted(3, needs_stages(), {});
  EXPECT_EQ(hold.run.report.totals.declared_bytes, 2 * 8 * kHidden) << "branches, stages";
  EXPECT_EQ(hold.run.report.totals.peak_bytes, 2 * 8 * kHidden);
  const Scripted line = run_scripted(3, needs_stages("linear"), {});
  EXPECT_EQ(line.run.report.totals.declared_bytes, 2 * 2 * 8 * kHidden) << "two steps of each";
}

TEST(StageReuse_Report, Letters_PerBlockAndStage) {
  EvaluationPlan plan = reuse_stages(false, true);
  for (BranchPlan& branch : plan.branches) branch.stages[1] = {true, true};
  const RunResult run = run_scripted(2, needs_stages(), {{1, plan}}).run;
  const Json json = to_json(run.report);
  const Json& cond = json["evaluations"][1]["branches"]["cond"];
  EXPECT_EQ(cond["reuse"], "stage");
  EXPECT_EQ(cond["blocks"], "crcc");
  EXPECT_EQ(cond["stages"], Json::array({"cr", "rr", "cr", "cr"}));
  EXPECT_FALSE(json["evaluations"][0]["branches"]["cond"].contains("stages"));
  EXPECT_EQ(json["totals"]["stages_reused"], 2 * 5);
  EXPECT_EQ(json["totals"]["blocks_computed"], 16 - 2);
  const CacheTrace read = trace_from_json(json, Origin::file("report.json"));
  EXPECT_EQ(read.evaluations[1].branches, trace_of(run.report).evaluations[1].branches);
}

TEST(StageReuse_Trace, BadStages_AreRejectedWithTheirPath) {
  const RunResult run = run_scripted(2, needs_stages(), {{1, reuse_stages(false, true)}}).run;
  const Json good = to_json(run.report);
  const struct {
    const char* reason;
    Json value;
    const char* expected;
  } rows[] = {
      {"no list", "cr", "must be a list of 4 texts"},
      {"a block is missing", Json::array({"cr", "cr", "cr"}), "must be a list of 4 texts"},
      {"no text", Json::array({"cr", "cr", "cr", 1}), "list of texts"},
      {"letters", Json::array({"cr", "cx", "cr", "cr"}), "letters c (computed) or r (reused)"},
      {"a whole block", Json::array({"cr", "rr", "cr", "cr"}), "contradicts 'blocks' at block 1"},
      {"nothing", Json::array({"cc", "cc", "cc", "cc"}), "reuses nothing"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    Json bad = good;
    bad["evaluations"][1]["branches"]["cond"]["stages"] = row.value;
    try {
      (void)trace_from_json(bad, Origin::file("report.json: "));
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(row.expected));
      EXPECT_THAT(error.what(), ::testing::HasSubstr("evaluations[1].branches.cond.stages"));
    }
  }
}

TEST(StageReuse_Replay, OtherStages_AreNamed) {
  const RunResult run = run_scripted(2, needs_stages(), {{1, reuse_stages(true, false)}}).run;
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 2}, &counts);
  RunShape shape = subject.shape();
  shape.stages[0][2].push_back("third");
  try {
    (void)make_replay(trace_of(run.report), Origin::file("report.json: "),
                      subject.layout.evaluations, shape);
    ADD_FAILURE() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("the number of stages of block 2 is 2 in the trace, but 3"));
  }
}

}  // namespace
}  // namespace bw::testing
