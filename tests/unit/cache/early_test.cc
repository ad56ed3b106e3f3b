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
               std::vector<EarlyDistances>* asked = nullptr)
      : needs_(std::move(needs)), answers_(std::move(answers)), asked_(asked) {}

  const CacheNeeds& needs() const override { return needs_; }
  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.step == 0) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kMiddle, .ask = true};
    return plan;
  }
  bool confirm(const EvaluationContext& context, Branch,
               const EarlyDistances& distances) const override {
    if (asked_ != nullptr) asked_->push_back(distances);
    const auto answer = answers_.find(context.step);
    return answer != answers_.end() && answer->second;
  }
  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  CacheNeeds needs_;
  std::map<std::int64_t, bool> answers_;
  std::vector<EarlyDistances>* asked_;
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
    bool confirm(const EvaluationContext&, Branch branch, const EarlyDistances&) const override {
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
  std::vector<EarlyDistances> asked;
  const RunResult run = run_subject(
      subject, std::make_unique<AskingPolicy>(early(SignalKind::kBlockOutput, true),
                                              std::map<std::int64_t, bool>{{1, true}}, &asked));
  EXPECT_EQ(decisions(run.report), "ccrrccc");  // parts 0 and 1 of steps 0, 1, 2, and step 3
  EXPECT_EQ(asked.size(), 2 * 3) << "two branches at part 0 of steps 1, 2 and 3";
}

}  // namespace
}  // namespace bw::testing
