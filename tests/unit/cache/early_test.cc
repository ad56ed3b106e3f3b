// Decisions inside a pass: what the early signal compares, which blocks run, what is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

// Asks at every step but the first; the script says at which steps the answer is yes.
class AskingPolicy final : public CachePolicy {
 public:
  AskingPolicy(CacheNeeds needs, std::map<std::int64_t, bool> answers,
               std::vector<EarlySignals>* asked = nullptr)
      : needs_(std::move(needs)), answers_(std::move(answers)), asked_(asked) {}

  const CacheNeeds& needs() const override { return needs_; }
  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.step == 0) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kMiddle, .ask = true};
    return plan;
  }
  Verdict confirm(const EvaluationContext& context, Branch,
                  const EarlySignals& distances) const override {
    if (asked_ != nullptr) asked_->push_back(distances);
    const auto answer = answers_.find(context.step);
    return answer != answers_.end() && answer->second;
  }
  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  CacheNeeds needs_;
  std::map<std::int64_t, bool> answers_;
  std::vector<EarlySignals>* asked_;
};

CacheNeeds early(SignalKind kind, bool against_computed, MiddleBlocks middle = {1, 0}) {
  CacheNeeds needs;
  needs.sites = {Site::kMiddle};
  needs.rebuild = Rebuild::parse("residual", Origin::flag("test"));
  needs.signal = {.kind = kind, .early = true, .against_computed = against_computed};
  needs.middle = middle;
  return needs;
}

// h_1 − h_0 of the conditional branch at every step, with inputs that do not follow predictions.
std::vector<Hidden> first_residuals(const CacheSubject& subject) {
  std::vector<Hidden> residuals;
  for (const EvaluationContext& context : subject.layout.evaluations) {
    const double sigma = context.sigma;
    const at::Tensor x = context.index == 0 ? subject.noise : subject.noise * (0.5 + sigma);
    const auto pass = subject.begin({&kBranches[0], 1}, context, x, false);
    const Hidden input = pass->embed();
    const Hidden output = pass->run_block(0, input);
    residuals.push_back({output[0] - input[0], output[1] - input[1]});
  }
  return residuals;
}

double distance(const Hidden& now, const Hidden& before) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    difference += (now[i] - before[i]).abs().sum().item<double>();
    size += before[i].abs().sum().item<double>();
  }
  return difference / size;
}

TEST(EarlySignal, Reference_IsTheLastComputedOrTheLastSeenStep) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 6}, &counts);
  const std::vector<Hidden> residuals = first_residuals(subject);
  for (const bool against_computed : {true, false}) {
    // Steps 2 and 3 are reused.
    const RunResult run = run_subject(
        subject,
        std::make_unique<AskingPolicy>(early(SignalKind::kBlockResidual, against_computed),
                                       std::map<std::int64_t, bool>{{2, true}, {3, true}}),
        {.fixed_inputs = true});
    ASSERT_EQ(decisions(run.report), "ccrrcc");
    const std::size_t references[] = {
        0, 0, 1, against_computed ? 1U : 2U, against_computed ? 1U : 3U, 4};
    for (std::size_t step = 1; step < 6; ++step) {
      const BranchRecord& cond = run.report.evaluations[step].branches.front();
      ASSERT_EQ(cond.distances.size(), 1) << step;
      EXPECT_NEAR(cond.distances.front(), distance(residuals[step], residuals[references[step]]),
                  1e-5)
          << "step " << step;
      EXPECT_EQ(cond.gap, static_cast<std::int64_t>(step - references[step]));
    }
  }
}

TEST(MiddleBlocks, Reused_FirstAndLastBlocksRun) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 3}, &counts);  // four blocks
  const RunResult run = run_subject(
      subject, std::make_unique<AskingPolicy>(early(SignalKind::kBlockOutput, true, {1, 1}),
                                              std::map<std::int64_t, bool>{{1, true}}));
  EXPECT_EQ(counts.blocks, 2 * (4 + 2 + 4)) << "two branches";
  EXPECT_EQ(run.report.totals.blocks_computed, 2 * (4 + 2 + 4));
  const BranchPlan& done = run.report.evaluations[1].branches.front().done;
  EXPECT_EQ(done.reuse, Site::kMiddle);
  EXPECT_EQ(done.blocks, (std::vector<bool>{false, true, true, false}));
  EXPECT_FALSE(done.ask);
  EXPECT_FALSE(run.report.inert());
}

TEST(MiddleBlocks, UnchangedInput_ReuseEqualsComputing) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({.num_steps = 4}, &counts);
  // The same noise level and latents at every step: what is reused is what would be computed.
  for (EvaluationContext& context : subject.layout.evaluations) context.sigma = 0.5;
  const auto run = [&](std::map<std::int64_t, bool> answers) {
    return run_subject(subject,
                       std::make_unique<AskingPolicy>(early(SignalKind::kAttentionInput, true),
                                                      std::move(answers)),
                       {.fixed_inputs = true});
  };
  const RunResult computed = run({});
  const RunResult reused = run({{2, true}, {3, true}});
  ASSERT_EQ(reused.cond.size(), computed.cond.size());
  for (std::size_t i = 2; i < 4; ++i) {
    EXPECT_TRUE(at::allclose(reused.cond[i], computed.cond[i], 1e-5, 1e-6)) << i;
  }
  EXPECT_DOUBLE_EQ(reused.report.evaluations[3].branches.front().distances.front(), 0);
}

TEST(EarlyVerdict, OneBranchOfABatch_IsNotEnough) {
  // Only the conditional branch agrees; in one batch both are computed, apart it reuses alone.
  class CondOnly final : public CachePolicy {
   public:
    explicit CondOnly(CacheNeeds needs) : needs_(std::move(needs)) {}
    const CacheNeeds& needs() const override { return needs_; }
    EvaluationPlan begin(const EvaluationContext&) const override {
      EvaluationPlan plan;
      for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kMiddle, .ask = true};
      return plan;
    }
    Verdict confirm(const EvaluationContext&, Branch branch, const EarlySignals&) const override {
      return branch == Branch::kCond;
    }
    void observe(const EvaluationContext&, const Observation&) override {}

   private:
    CacheNeeds needs_;
  };
  for (const bool batched : {false, true}) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 3, .batched = batched}, &counts);
    const RunResult run =
        run_subject(subject, std::make_unique<CondOnly>(early(SignalKind::kBlockOutput, true)));
    EXPECT_EQ(decisions(run.report), batched ? "ccc" : "crr");
    EXPECT_EQ(run.report.evaluations[1].branches.back().done.reuse, Site::kNone);
  }
}

TEST(EarlyVerdict, SecondPartOfAHeunStep_FollowsTheFirst) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 4, .heun = true}, &counts);
  std::vector<EarlySignals> asked;
  const RunResult run = run_subject(
      subject, std::make_unique<AskingPolicy>(early(SignalKind::kBlockOutput, true),
                                              std::map<std::int64_t, bool>{{1, true}}, &asked));
  EXPECT_EQ(decisions(run.report), "ccrrccc");  // parts 0 and 1 of steps 0, 1, 2, and step 3
  EXPECT_EQ(asked.size(), 2 * 3) << "two branches at part 0 of steps 1, 2 and 3";
}

// Computed at steps 0 and 1, reused at 2: there p₁ is of step 1 and p₂ of step 0.
TEST(EarlyProgress, IsMeasuredOverTheLastTwoComputedEvaluations) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 5}, &counts);
  CacheNeeds needs = early(SignalKind::kBlockOutput, false);
  needs.signal.branches = {true, false};
  needs.signal.progress = true;
  std::vector<EarlySignals> asked;
  const RunResult run = run_subject(
      subject,
      std::make_unique<AskingPolicy>(needs, std::map<std::int64_t, bool>{{2, true}}, &asked),
      {.fixed_inputs = true});
  const std::vector<Hidden> p = first_residuals(subject);
  const auto way = [&](std::size_t from, std::size_t to) {
    double sum = 0;
    for (std::size_t stream = 0; stream < p[from].size(); ++stream) {
      sum += (p[to][stream] - p[from][stream]).abs().sum().item<double>();
    }
    return sum;
  };
  ASSERT_EQ(asked.size(), 2 * 4);  // both branches at steps 1 to 4
  EXPECT_FALSE(asked[0][0].progress) << "one sample at step 1";
  EXPECT_NEAR(*asked[2][0].progress, way(0, 2) / way(0, 1), 1e-5);
  EXPECT_NEAR(*asked[4][0].progress, way(0, 3) / way(0, 1), 1e-5) << "step 2 was reused";
  EXPECT_NEAR(*asked[6][0].progress, way(1, 4) / way(1, 3), 1e-5);
  EXPECT_LE(run.report.totals.peak_bytes, run.report.totals.declared_bytes);
}

// What a calibration is handed of a run that computes everything.
class CountingRecorder final : public FeatureRecorder {
 public:
  const RecordedParts& parts() const override { return parts_; }
  void record(const CacheKey& key, const EvaluationContext& context, const Hidden& value) override {
    ++count[key.slot];
    if (key.slot == Slot::kStack && key.branch == Branch::kCond && context.index == 0) {
      stack = value.front().clone();
    }
    if (key.slot == Slot::kBlock && key.branch == Branch::kCond && context.index == 0) {
      blocks = blocks.defined() ? blocks + value.front() : value.front().clone();
    }
  }
  std::map<Slot, int> count;
  at::Tensor stack;
  at::Tensor blocks;

 private:
  RecordedParts parts_ = {true, true, true, true, true};
};

TEST(FeatureRecorder, SeesEverySegmentOfBothBranches) {
  for (const bool batched : {false, true}) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.num_steps = 3, .batched = batched}, &counts);
    CountingRecorder recorder;
    (void)run_subject(
        subject,
        std::make_unique<ScriptedPolicy>(CacheNeeds(), std::map<std::int64_t, EvaluationPlan>()),
        {.recorder = &recorder});
    const int runs = 3 * 2, num_blocks = 4;
    int stages = 0;
    for (const BlockInfo& block : subject.layout.experts.front().blocks) {
      stages += static_cast<int>(block.stages.size());
    }
    EXPECT_EQ(recorder.count[Slot::kStack], runs);
    EXPECT_EQ(recorder.count[Slot::kSignal], runs);
    EXPECT_EQ(recorder.count[Slot::kBranch], runs);
    EXPECT_EQ(recorder.count[Slot::kBlock], runs * num_blocks);
    EXPECT_EQ(recorder.count[Slot::kStage], runs * stages);
    EXPECT_TRUE(at::allclose(recorder.blocks, recorder.stack, 1e-4, 1e-4));
  }
}

}  // namespace
}  // namespace bw::testing
