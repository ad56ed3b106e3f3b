// What every cache policy must satisfy on every subject. Throws nothing; fails through GoogleTest.
//   for (const CachePolicyInfo& policy : cache_policies()) check_cache_policy(subject, policy);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cache/cache_trace.h"
#include "cache/replay.h"
#include "support/cache_subject.h"

namespace bw::testing {

// Plans nothing but measures and declares as the policy does: the run that holds the most.
class ComputeAll final : public CachePolicy {
 public:
  explicit ComputeAll(std::unique_ptr<CachePolicy> inner) : inner_(std::move(inner)) {}
  const CacheNeeds& needs() const override { return inner_->needs(); }
  EvaluationPlan begin(const EvaluationContext&) const override { return {}; }
  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  std::unique_ptr<CachePolicy> inner_;
};

inline std::unique_ptr<CachePolicy> replay_of(const CacheReport& report,
                                              const CacheSubject& subject) {
  const Origin origin = Origin::file("trace");
  const std::string text = to_json(report).dump();
  return make_replay(trace_from_json(parse_json(text, origin), origin), origin,
                     subject.layout.evaluations, subject.shape());
}

// Every reused segment has an earlier computed evaluation of the same expert, part and branch, with
// no evaluation in between that left the branch out. Written from the rule, not from the store.
inline void expect_references_computed(const CacheReport& report) {
  constexpr std::size_t kWhole = 99;  // as a stage: the whole block
  using Segment =
      std::tuple<std::size_t, int, Branch, std::size_t, std::size_t>;  // …, block, stage
  std::set<Segment> computed;
  std::map<std::pair<std::size_t, int>, bool> guided_kept;  // guided state it was computed in
  for (const EvaluationRecord& evaluation : report.evaluations) {
    const EvaluationContext& at = evaluation.context;
    SCOPED_TRACE("evaluation " + std::to_string(at.index));
    bool all_computed = !evaluation.guided_reused;
    for (const BranchRecord& branch : evaluation.branches) {
      const bool whole = leaves_out_stack(branch.done.reuse);
      all_computed = all_computed && branch.done.reuse == Site::kNone;
      for (std::size_t block = 0; block < evaluation.num_blocks; ++block) {
        const Segment segment{at.expert, at.part, branch.branch, block, kWhole};
        const bool was_computed = computed.contains(segment);
        if (branch.done.reuse == Site::kStage) {
          for (std::size_t stage = 0; stage < branch.done.stages[block].size(); ++stage) {
            const Segment part{at.expert, at.part, branch.branch, block, stage};
            const bool reused = branch.done.stages[block][stage];
            EXPECT_TRUE(!reused || was_computed || computed.contains(part)) << "block " << block;
            if (!reused) computed.insert(part);
          }
          continue;
        }
        const bool reused =
            whole || ((branch.done.reuse == Site::kBlock || branch.done.reuse == Site::kMiddle) &&
                      branch.done.blocks[block]);
        EXPECT_TRUE(!reused || was_computed) << "block " << block;
        if (!reused) computed.insert(segment);
      }
    }
    if (!at.guided) {
      std::erase_if(computed, [](const Segment& s) { return std::get<2>(s) == Branch::kUncond; });
    }
    std::erase_if(guided_kept, [&](const auto& kept) { return kept.second != at.guided; });
    const std::pair<std::size_t, int> key{at.expert, at.part};
    EXPECT_TRUE(!evaluation.guided_reused || guided_kept.contains(key));
    if (all_computed) guided_kept[key] = at.guided;
  }
}

inline bool same_decisions(const CacheReport& a, const CacheReport& b) {
  Json left = to_json(a)["evaluations"];
  Json right = to_json(b)["evaluations"];
  return left == right;
}

// Whether both branches were always done alike, as one batched Pass needs it, or the conditional
// one alone took a Pass.
inline bool branches_agree(const CacheReport& report) {
  for (const EvaluationRecord& evaluation : report.evaluations) {
    for (const BranchRecord& branch : evaluation.branches) {
      if (branch.done.reuse == Site::kCfg) continue;
      if (branch.done != evaluation.branches.front().done) return false;
    }
  }
  return true;
}

inline void expect_guarded_is_exact(const CacheSubject& subject, const CachePolicyInfo& policy,
                                    const Json& params, const at::Tensor& exact) {
  const std::int64_t steps = subject.shape().num_steps;
  const std::vector<std::pair<std::string, CacheGuards>> guards = {
      {"warmup", {.warmup = steps}}, {"cooldown", {.cooldown = steps}}, {"window", {.end = 0}}};
  for (const auto& [name, guard] : guards) {
    SCOPED_TRACE("guard " + name);
    const RunResult run =
        run_subject(subject, make_policy_for(subject, policy, params), {.guards = guard});
    EXPECT_TRUE(at::equal(run.latents, exact));
    EXPECT_TRUE(run.report.inert());
  }
}

inline void expect_memory_as_declared(const CacheSubject& subject, const CachePolicyInfo& policy,
                                      const Json& params, const CacheReport& report) {
  EXPECT_LE(report.totals.peak_bytes, report.totals.declared_bytes);
  const RunResult full =
      run_subject(subject, std::make_unique<ComputeAll>(make_policy_for(subject, policy, params)));
  const bool keeps_stages = make_policy_for(subject, policy, params)->needs().has(Site::kStage);
  if (keeps_stages && subject.has_partial_stages) {
    EXPECT_LE(full.report.totals.peak_bytes, full.report.totals.declared_bytes);
  } else {
    EXPECT_EQ(full.report.totals.peak_bytes, full.report.totals.declared_bytes);
  }
  EXPECT_EQ(full.report.totals.declared_bytes, report.totals.declared_bytes);
}

// Some methods mix the branches on purpose.
inline bool mixes_branches(const CacheReport& report) {
  for (const EvaluationRecord& evaluation : report.evaluations) {
    for (const BranchRecord& branch : evaluation.branches) {
      if (branch.done.mean_of_branches) return true;
    }
  }
  return false;
}

inline void expect_no_leak(const CacheSubject& subject, const RunResult& run) {
  if (mixes_branches(run.report)) return;
  RunOptions options{.fixed_inputs = true};
  const RunResult one = run_subject(subject, replay_of(run.report, subject), options);
  options.other_uncond = true;
  const RunResult other = run_subject(subject, replay_of(run.report, subject), options);
  ASSERT_EQ(one.cond.size(), other.cond.size());
  for (std::size_t i = 0; i < one.cond.size(); ++i) {
    EXPECT_TRUE(at::equal(one.cond[i], other.cond[i])) << "cond prediction " << i;
  }
}

// fp32 rounding of a batch of two against two batches of one.
inline void expect_batched_agrees(const CacheSubject& subject, const RunResult& run,
                                  double tolerance) {
  if (subject.layout.batched || !branches_agree(run.report)) return;
  CacheSubject batched = subject;
  batched.layout.batched = true;
  const RunResult other = run_subject(batched, replay_of(run.report, batched));
  const double scale = run.latents.abs().max().item<double>();
  const double error = (run.latents - other.latents).abs().max().item<double>() / scale;
  EXPECT_LE(error, tolerance);
}

struct ConformanceOptions {
  double batched_tolerance = 1e-5;  // max|a−b| / max|b|
  // Of variants that reuse at the same sites, rebuild and measure alike, the first alone: for
  // subjects that cost seconds.
  bool one_of_a_kind = false;
};

// What the walk through the model depends on.
inline std::string kind_of(const CacheNeeds& needs) {
  std::string text = needs.rebuild.name();
  for (const Site site : needs.sites) text += std::string(" ") + site_name(site);
  const SignalNeeds& signal = needs.signal;
  text += std::to_string(static_cast<int>(signal.kind)) + (signal.early ? "early" : "");
  text += std::to_string(static_cast<int>(signal.metric)) + (signal.progress ? "progress" : "");
  text += signal.content_spectrum > 0 ? "filtered" : "";
  return text + (needs.latents ? "latents" : "");
}

// One set of parameters; returns whether anything was reused.
inline bool check_cache_params(const CacheSubject& subject, const CachePolicyInfo& policy,
                               const Json& params, const ConformanceOptions& options) {
  const at::Tensor exact =
      run_subject(subject, std::make_unique<ComputeAll>(make_policy_for(subject, policy, params)))
          .latents;
  const RunResult run = run_subject(subject, make_policy_for(subject, policy, params));
  const RunResult again = run_subject(subject, make_policy_for(subject, policy, params));
  EXPECT_TRUE(at::equal(run.latents, again.latents)) << "two runs differ";
  EXPECT_TRUE(same_decisions(run.report, again.report)) << "two runs decide differently";
  EXPECT_EQ(run.report.inert(), at::equal(run.latents, exact));
  for (const EvaluationRecord& evaluation : run.report.evaluations) {
    if (evaluation.context.step > 0) break;
    EXPECT_FALSE(evaluation.guided_reused);
    for (const BranchRecord& branch : evaluation.branches) {
      EXPECT_EQ(branch.done.reuse, Site::kNone) << "reused at step 0";
    }
  }
  expect_references_computed(run.report);
  expect_guarded_is_exact(subject, policy, params, exact);
  expect_memory_as_declared(subject, policy, params, run.report);
  const RunResult replayed = run_subject(subject, replay_of(run.report, subject));
  EXPECT_TRUE(at::equal(replayed.latents, run.latents)) << "the replay differs";
  EXPECT_EQ(decisions(replayed.report), decisions(run.report));
  expect_no_leak(subject, run);
  expect_batched_agrees(subject, run, options.batched_tolerance);
  return !run.report.inert();
}

// False where the model lacks the stages that the policy needs, which it must say when it is made.
inline bool supports(const CacheSubject& subject, const CachePolicyInfo& policy,
                     const Json& params) {
  try {
    (void)make_policy_for(subject, policy, params);
    return true;
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("has no stage"), std::string::npos) << error.what();
    return false;
  }
}

inline bool has_param(const CachePolicyInfo& policy, std::string_view name) {
  return std::ranges::any_of(policy.params,
                             [&](const ParamInfo& info) { return info.name == name; });
}

inline void expect_zero_threshold_is_exact(const CacheSubject& subject,
                                           const CachePolicyInfo& policy, Json params,
                                           const at::Tensor& exact) {
  if (!has_param(policy, "threshold")) return;
  params["threshold"] = 0;
  const RunResult run = run_subject(subject, make_policy_for(subject, policy, params));
  EXPECT_TRUE(run.report.inert());
  EXPECT_TRUE(at::equal(run.latents, exact));
}

// The defaults and every preset of a policy, and a threshold that every distance is below, since
// those of presets mean little to a model of random weights. Returns whether any of them reused
// anything.
inline bool check_cache_policy(const CacheSubject& subject, const CachePolicyInfo& policy,
                               const ConformanceOptions& options = {}) {
  std::vector<std::pair<std::string, Json>> variants = {{"defaults", Json::object()}};
  for (const PolicyPreset& preset : policy.presets) {
    variants.emplace_back(preset.name, preset_params(policy, preset.name, Origin::flag("--cache")));
  }
  if (has_param(policy, "threshold")) {
    variants.emplace_back("always below", Json{{"threshold", 1e6}});
  }
  if (has_param(policy, "codebook")) {
    variants.emplace_back("always below", Json{{"codebook", "1e6:3"}, {"motion", false}});
  }
  const CachePolicyInfo& none = find_cache_policy("none", Origin::flag("--cache"));
  const at::Tensor exact =
      run_subject(subject, make_policy_for(subject, none, Json::object())).latents;
  // The variant above every distance comes first: it is sure to reuse.
  if (options.one_of_a_kind) std::rotate(variants.begin(), variants.end() - 1, variants.end());
  std::set<std::string> kinds;
  bool any_reuse = false;
  for (const auto& [name, params] : variants) {
    SCOPED_TRACE(std::string(policy.name) + " " + name + " on " + subject.name);
    if (!supports(subject, policy, params)) continue;
    const std::string kind = kind_of(make_policy_for(subject, policy, params)->needs());
    if (!kinds.insert(kind).second && options.one_of_a_kind) continue;
    any_reuse = check_cache_params(subject, policy, params, options) || any_reuse;
    const RunResult computed = run_subject(
        subject, std::make_unique<ComputeAll>(make_policy_for(subject, policy, params)));
    EXPECT_TRUE(at::equal(computed.latents, exact)) << "computing all differs from none";
    expect_zero_threshold_is_exact(subject, policy, params, exact);
  }
  return any_reuse;
}

}  // namespace bw::testing
