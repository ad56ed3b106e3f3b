// Declared bytes against numbers worked out by hand, and the budget.
#include "cache/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "policy_script.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

// One expert of 4 blocks (the second one of 5): hidden (6 + 3)·8 floats, probe 6·8, prediction 24.
constexpr std::uint64_t kHidden = 9 * 8 * 4;
constexpr std::uint64_t kProbe = 6 * 8 * 4;
constexpr std::uint64_t kPrediction = 24 * 4;

struct MemoryRow {
  const char* reason;
  const char* policy;
  const char* params;
  SubjectOptions subject;
  CacheGuards guards;
  std::uint64_t bytes;
};

TEST(DeclaredCacheBytes_Policy, HandWorkedSum_Matches) {
  const MemoryRow rows[] = {
      {"nothing is kept", "none", "{}", {}, {}, 0},
      {"one stack per branch", "static", "{}", {}, {}, 2 * kHidden},
      {"no guidance, one branch", "static", "{}", {.guidance_end = 0}, {}, kHidden},
      {"batched holds the same", "static", "{}", {.batched = true}, {}, 2 * kHidden},
      {"taylor:2 needs three", "static", R"({"rebuild": "taylor:2"})", {}, {}, 2 * 3 * kHidden},
      {"a run of two steps can use one sample",
       "static",
       R"({"rebuild": "taylor:2"})",
       {.num_steps = 2},
       {},
       2 * kHidden},
      {"one guided prediction", "static", R"({"site": "guided"})", {}, {}, kPrediction},
      {"predictions of both branches", "static", R"({"site": "branch"})", {}, {}, 2 * kPrediction},
      {"guided predictions and latents of three steps",
       "meancache",
       "{}",
       {},
       {},
       3 * 2 * kPrediction},
      {"two blocks per branch",
       "static",
       R"({"site": "block", "blocks": "0+2"})",
       {},
       {},
       2 * 2 * kHidden},
      {"both parts of a Heun step", "static", "{}", {.heun = true}, {}, 2 * 2 * kHidden},
      {"experts follow each other", "static", "{}", {.num_experts = 2}, {}, 2 * kHidden},
      {"always guarded", "static", "{}", {}, {.warmup = 99}, 0},
      {"cond's four probes and two stacks", "bwcache", "{}", {}, {}, (4 + 2) * kHidden},
      {"both branches probed", "bwcache", R"({"verdict": "mean"})", {}, {}, (8 + 2) * kHidden},
      {"half the probes", "bwcache", R"({"probe_blocks": "50%"})", {}, {}, (2 + 2) * kHidden},
      {"probes are smaller",
       "bwcache",
       R"({"indicator": "attention_input"})",
       {},
       {},
       4 * kProbe + 2 * kHidden},
      {"parts: four stacks, but only part 0 is probed",
       "bwcache",
       "{}",
       {.heun = true},
       {},
       (4 + 4) * kHidden},
      {"the larger expert: five blocks",
       "bwcache",
       "{}",
       {.num_experts = 2},
       {},
       (5 + 2) * kHidden},
      {"guards do not stop measuring", "bwcache", "{}", {}, {.end = 0}, 4 * kHidden},
  };
  for (const MemoryRow& row : rows) {
    SCOPED_TRACE(std::string(row.policy) + ": " + row.reason);
    CallCounts counts;
    const CacheSubject subject = make_fake_subject(row.subject, &counts);
    const auto policy = make_policy_for(
        subject, find_cache_policy(row.policy, Origin::flag("--cache")), Json::parse(row.params));
    EXPECT_EQ(declared_cache_bytes(policy->needs(), row.guards, subject.layout), row.bytes);
  }
}

CacheSetup setup_with_budget(std::uint64_t budget) {
  CallCounts counts;
  return {std::make_unique<ScriptedPolicy>(needs_of(Site::kStack),
                                           std::map<std::int64_t, EvaluationPlan>()),
          {},
          budget,
          make_fake_subject({}, &counts).layout};
}

TEST(CacheController_Budget, TooSmall_NamesBothNumbers) {
  EXPECT_EQ(CacheController(setup_with_budget(2 * kHidden)).declared_bytes(), 2 * kHidden);
  try {
    const CacheController cache(setup_with_budget(2 * kHidden - 1));
    ADD_FAILURE() << "accepted";
  } catch (const ResourceError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("needs 576 bytes"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("budget is 575 bytes"));
  }
}

TEST(CacheController_Budget, TensorsLargerThanTheLayout_AreABug) {
  CallCounts counts;
  CacheSubject subject = make_fake_subject({}, &counts);
  subject.layout.experts[0].hidden_bytes -= 4;
  EXPECT_THROW((void)run_subject(subject, make_policy_from("static", Json::object(), 20)),
               InternalError);
}

// Counted from outside, by the storages of the model's tensors that are still alive: probes and
// held outputs are the model's own tensors, and a trigger lets the probes go.
TEST(CacheController_Memory, LiveTensors_AreWhatWasDeclared) {
  for (const bool batched : {false, true}) {
    SCOPED_TRACE(batched ? "batched" : "separate");
    CallCounts counts;
    const CacheSubject subject = make_fake_subject({.batched = batched}, &counts);
    const Json params = {
        {"threshold", 1e6}, {"indicator", "attention_input"}, {"rebuild", "output"}};
    const std::uint64_t stacks = 2 * kHidden;
    // Of a batched probe the conditional rows are copied, or they would keep the others alive.
    const std::uint64_t probes = batched ? 0 : 4 * kProbe;
    CacheController cache(
        {make_policy_from("bwcache", params, 20), {}, std::nullopt, subject.layout});
    EXPECT_EQ(cache.declared_bytes(), 4 * kProbe + stacks);
    for (const EvaluationContext& context : subject.layout.evaluations) {
      RunResult result;
      const RunOptions options;
      (void)cache.begin(context.index, subject.noise);
      (void)cache.guided(run_branches(cache, subject, context, subject.noise, {&result, &options}));
      cache.end();
      const bool armed = context.index < 2;  // the trigger is at 1; its probes go when 2 begins
      const bool last = context.index == 19;
      EXPECT_EQ(counts.live_bytes(), last ? 0 : stacks + (armed ? probes : 0)) << context.index;
    }
    EXPECT_EQ(cache.report().totals.peak_bytes, 4 * kProbe + stacks);
  }
}

}  // namespace
}  // namespace bw::testing
