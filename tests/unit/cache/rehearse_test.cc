// A rehearsal decides what the run itself decides, as long as that rests on neighbouring steps.
#include "cache/rehearse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/cache_subject.h"

namespace bw::testing {
namespace {

const SubjectOptions kSubjects[] = {
    {.name = "plain"},
    {.name = "batched", .batched = true},
    {.name = "heun", .num_steps = 12, .heun = true},
    {.name = "guidance interval", .guidance_start = 0.2, .guidance_end = 0.7},
    {.name = "two experts", .num_experts = 2},
};

Json bwcache_params(const Json& given) {
  const Origin origin = Origin::flag("--cache bwcache");
  return find_cache_policy("bwcache", origin).resolve(given, origin);
}

std::unique_ptr<CachePolicy> make_bwcache(const CacheSubject& subject, const Json& given) {
  const CachePolicyInfo& info = find_cache_policy("bwcache", Origin::flag("--cache"));
  return make_policy_for(subject, info, bwcache_params(given));
}

CacheReport record_run(const CacheSubject& subject, const char* indicator) {
  return run_subject(subject, make_bwcache(subject, {{"threshold", 0},
                                                     {"verdict", "mean"},
                                                     {"indicator", indicator}}))
      .report;
}

CacheReport rehearse_with(const CacheSubject& subject, const SignalRecord& record,
                          const Json& given) {
  return rehearse({make_bwcache(subject, given), {}, std::nullopt, subject.layout}, record);
}

TEST(Rehearse, TriggerOnce_DecidesAsTheRun) {
  for (const SubjectOptions& options : kSubjects) {
    CallCounts counts;
    const CacheSubject subject = make_fake_subject(options, &counts);
    for (const char* indicator : {"block_output", "attention_input"}) {
      const CacheReport uncached = record_run(subject, indicator);
      SignalRecord record;
      record.add(uncached);
      int triggered = 0;
      for (const double q : {0.1, 0.3, 0.5, 0.8}) {
        const Json params = {{"threshold", *uncached.indicator_quantile(q) * 1.0001},
                             {"reuse_interval", 2},
                             {"indicator", indicator}};
        const CacheReport run = run_subject(subject, make_bwcache(subject, params)).report;
        const CacheReport rehearsed = rehearse_with(subject, record, params);
        EXPECT_EQ(decisions(rehearsed), decisions(run))
            << options.name << " " << indicator << " " << params.dump();
        EXPECT_EQ(rehearsed.totals.blocks_computed, run.totals.blocks_computed) << options.name;
        triggered += run.inert() ? 0 : 1;
      }
      EXPECT_GT(triggered, 0) << options.name;
    }
  }
}

// With inputs that do not follow the predictions, a run sees the recorded signals whatever it
// reuses.
TEST(Rehearse, SummedChanges_DecideAsTheRun) {
  CallCounts counts;
  for (const SubjectOptions& options : kSubjects) {
    const CacheSubject subject = make_fake_subject(options, &counts);
    const RunOptions fixed = {.fixed_inputs = true};
    SignalRecord record;
    record.add(run_subject(subject,
                           make_bwcache(subject, {{"threshold", 0},
                                                  {"verdict", "mean"},
                                                  {"indicator", "attention_input"}}),
                           fixed)
                   .report);
    const Origin origin = Origin::flag("--cache teacache");
    const CachePolicyInfo& teacache = find_cache_policy("teacache", origin);
    int reused = 0;
    for (const double threshold : {0.05, 0.2, 0.5, 1.5}) {
      const Json params = teacache.resolve({{"threshold", threshold}}, origin);
      const CacheReport run =
          run_subject(subject, teacache.make(params, origin, subject.shape()), fixed).report;
      const CacheReport rehearsed = rehearse(
          {teacache.make(params, origin, subject.shape()), {}, std::nullopt, subject.layout},
          record);
      EXPECT_EQ(decisions(rehearsed), decisions(run)) << options.name << " " << threshold;
      reused += run.inert() ? 0 : 1;
    }
    EXPECT_GT(reused, 0) << options.name;
  }
}

TEST(Rehearse, GuardsAndNoSignal_DecideAsTheRun) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({}, &counts);
  const Origin origin = Origin::flag("--cache static");
  const CachePolicyInfo& info = find_cache_policy("static", origin);
  const Json params = info.resolve({{"every", 3}}, origin);
  CacheGuards guards;
  guards.warmup = 4;
  const CacheReport run =
      run_subject(subject, info.make(params, origin, subject.shape()), {.guards = guards}).report;
  const CacheReport rehearsed = rehearse(
      {info.make(params, origin, subject.shape()), guards, std::nullopt, subject.layout}, {});
  EXPECT_EQ(decisions(rehearsed), decisions(run));
  EXPECT_THAT(decisions(run), ::testing::HasSubstr("r"));
}

TEST(Rehearse, DistanceOverAGap_IsTheProductOfTheChanges) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 8}, &counts);
  const std::size_t blocks = subject.layout.experts.front().blocks.size();
  SignalRecord record;
  std::vector<SignalRecord::Changes>& changes = record.evaluations[SignalKind::kBlockOutput];
  changes.resize(8);
  for (std::size_t step = 1; step < 8; ++step) {
    changes[step].fill(std::vector<double>(blocks, 0.1));
  }
  const CacheReport report =
      rehearse_with(subject, record,
                    {{"threshold", 0.2}, {"reuse_interval", 2}, {"trigger", "every"}, {"tail", 0}});
  // Steps 2 and 3 are reused, step 4 is compared with step 1: 1.1³ − 1.
  const BranchRecord& branch = report.evaluations[4].branches.front();
  EXPECT_EQ(branch.gap, 3);
  EXPECT_NEAR(branch.distances.front(), 0.331, 1e-5);
}

}  // namespace
}  // namespace bw::testing
