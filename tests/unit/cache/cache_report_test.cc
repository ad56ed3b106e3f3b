#include "cache/cache_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/cache_trace.h"
#include "cache/replay.h"
#include "scripted_policy.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

RunResult run_bwcache(const Json& params) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 6}, &counts);
  const CachePolicyInfo& policy = find_cache_policy("bwcache", Origin::flag("--cache"));
  return run_subject(subject, make_policy_for(subject, policy, params));
}

TEST(CacheReport_Json, Run_IsDescribedCompletely) {
  const RunResult run = run_bwcache({{"threshold", 1e6}, {"reuse_interval", 2}, {"tail", 0}});
  const Json json = to_json(run.report);
  EXPECT_EQ(json["sites"], Json::array({"stack"}));
  EXPECT_EQ(json["rebuild"], "residual");
  EXPECT_EQ(json["signal"]["kind"], "block_output");
  ASSERT_EQ(json["evaluations"].size(), 6U);
  const Json& first = json["evaluations"][0]["branches"]["cond"];
  EXPECT_EQ(first["blocks"], "cccc");
  EXPECT_FALSE(first.contains("indicator")) << "no predecessor";
  const Json& trigger = json["evaluations"][1]["branches"]["cond"];
  EXPECT_EQ(trigger["distances"].size(), 4U);
  double mean = 0;
  for (const Json& distance : trigger["distances"]) mean += distance.get<double>() / 4;
  EXPECT_NEAR(trigger["indicator"].get<double>(), mean, 1e-12);
  const Json& reused = json["evaluations"][2]["branches"]["uncond"];
  EXPECT_EQ(reused["reuse"], "stack");
  EXPECT_EQ(reused["blocks"], "rrrr");
  EXPECT_EQ(reused["reason"], "policy");
  EXPECT_EQ(decisions(run.report), "ccrrcr");
  EXPECT_EQ(json["totals"]["blocks"], 6 * 2 * 4);
  EXPECT_EQ(json["totals"]["blocks_computed"], 3 * 2 * 4);
  EXPECT_EQ(json["totals"]["branches_reused"], 6);
  EXPECT_EQ(json["totals"]["reused_fraction"], 0.5);
}

TEST(CacheReport_Inert, NothingReused_IsSaid) {
  EXPECT_TRUE(run_bwcache({{"threshold", 0}}).report.inert());
  EXPECT_FALSE(run_bwcache({{"threshold", 1e6}}).report.inert());
}

TEST(CacheReport_Quantiles, NearestRank_OfTheMeans) {
  CacheReport report;
  EXPECT_FALSE(report.indicator_quantile(0.5).has_value());
  for (const double mean : {0.4, 0.1, 0.3, 0.2}) {
    report.evaluations.push_back({});
    report.evaluations.back().branches.push_back({Branch::kCond, {}, "policy", {mean}, 1});
  }
  EXPECT_EQ(report.indicator_quantile(0), 0.1);
  EXPECT_EQ(report.indicator_quantile(0.5), 0.2);
  EXPECT_EQ(report.indicator_quantile(0.51), 0.3);
  EXPECT_EQ(report.indicator_quantile(1), 0.4);
}

TEST(CacheTrace_Json, RoundTrip_KeepsTheDecisions) {
  const CacheReport report = run_bwcache({{"threshold", 1e6}}).report;
  const CacheTrace direct = trace_of(report);
  const CacheTrace read = trace_from_json(to_json(report), Origin::file("report.json"));
  ASSERT_EQ(read.evaluations.size(), direct.evaluations.size());
  for (std::size_t i = 0; i < read.evaluations.size(); ++i) {
    EXPECT_EQ(read.evaluations[i].branches, direct.evaluations[i].branches);
    EXPECT_EQ(read.evaluations[i].num_blocks, direct.evaluations[i].num_blocks);
    EXPECT_EQ(read.evaluations[i].context.step, direct.evaluations[i].context.step);
  }
}

struct BadTrace {
  const char* reason;
  const char* pointer;  // what is replaced in a good report
  Json value;           // null: removed
  const char* expected;
};

TEST(CacheTrace_Json, AnythingElse_IsRejectedWithItsPath) {
  const Json good = to_json(run_bwcache({{"threshold", 1e6}}).report);
  const BadTrace rows[] = {
      {"no evaluations", "/evaluations", nullptr, "evaluations"},
      {"a text for a list", "/evaluations", "all", "evaluations: must be a list"},
      {"unknown site", "/sites/0", "stak", "did you mean 'stack'"},
      {"unknown rule", "/rebuild", "residul", "rebuild"},
      {"letters", "/evaluations/2/branches/cond/blocks", "rxrr", "letters c (computed)"},
      {"contradiction", "/evaluations/2/branches/cond/blocks", "rrrc", "contradicts reuse 'stack'"},
      {"a branch is missing", "/evaluations/2/branches/uncond", nullptr, "'uncond' is missing"},
      {"a branch too many", "/evaluations/2/guided", false, "'uncond' cannot take part"},
      {"negative expert", "/evaluations/2/expert", -1, "evaluations[2].expert"},
      {"a guided branch plan", "/evaluations/2/branches/cond/reuse", "guided", "contradicts"},
  };
  for (const BadTrace& row : rows) {
    SCOPED_TRACE(row.reason);
    Json bad = good;
    const Json::json_pointer pointer(row.pointer);
    if (row.value.is_null()) {
      bad[pointer.parent_pointer()].erase(pointer.back());
    } else {
      bad[pointer] = row.value;
    }
    try {
      (void)trace_from_json(bad, Origin::file("report.json: "));
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(row.expected));
    }
  }
}

TEST(CacheTrace_Json, Corrections_AreReadBackOrRejected) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 4}, &counts);
  const CachePolicyInfo& policy = find_cache_policy("blockcaching", Origin::flag("--cache"));
  const Json params = {{"correction", "scale_shift"}};
  const RunResult run = run_subject(subject, make_policy_for(subject, policy, params));
  const Json good = to_json(run.report);
  const std::string path = "/evaluations/1/branches/cond/corrections";
  EXPECT_EQ(good.at(Json::json_pointer(path)),
            Json::parse("[[0.95,0.01],[0.95,0.01],[0.95,0.01],[0.95,0.01]]"));
  const CacheTrace read = trace_from_json(good, Origin::file("report.json"));
  EXPECT_EQ(read.evaluations[1].branches, trace_of(run.report).evaluations[1].branches);
  for (const Json& value : {Json(1), Json::parse("[[1,0]]"), Json::parse("[1,1,1,1]")}) {
    Json bad = good;
    bad[Json::json_pointer(path)] = value;
    EXPECT_THAT([&] { (void)trace_from_json(bad, Origin::file("report.json: ")); },
                ::testing::ThrowsMessage<InputError>(
                    ::testing::HasSubstr("corrections: must be a list of 4 pairs of numbers")));
  }
}

TEST(Replay_Make, OtherRun_NamesTheFirstDifference) {
  const CacheTrace trace = trace_of(run_bwcache({{"threshold", 1e6}}).report);
  CallCounts counts;
  const struct {
    SubjectOptions subject;
    const char* expected;
  } rows[] = {
      {{.num_steps = 7}, "the number of evaluations is 6 in the trace, but 7"},
      {{.num_steps = 6, .guidance_end = 0.5}, "evaluations[3]: guidance (1: on) is 1"},
      {{.num_steps = 6, .num_experts = 2}, "evaluations[3]: the expert is 0"},
  };
  for (const auto& row : rows) {
    const CacheSubject subject = make_fake_subject(row.subject, &counts);
    try {
      (void)make_replay(trace, Origin::file("report.json: "), subject.layout.evaluations,
                        subject.shape());
      ADD_FAILURE() << "accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(row.expected));
    }
  }
  const CacheSubject same = make_fake_subject({.num_steps = 6}, &counts);
  EXPECT_THROW(
      (void)make_replay(trace, Origin::file("report.json"), same.layout.evaluations, {6, {5}}),
      InputError)
      << "another number of blocks";
  CacheTrace other_rule = trace;
  other_rule.rebuild = "mean_velocity:3";
  EXPECT_THAT(
      [&] {
        (void)make_replay(other_rule, Origin::file("report.json: "), same.layout.evaluations,
                          same.shape());
      },
      ::testing::ThrowsMessage<InputError>(
          ::testing::HasSubstr("rebuild: 'mean_velocity:3' is for the site 'guided' alone")));
}

}  // namespace
}  // namespace bw::testing
