// MagCache (arXiv 2506.09045): how much the stack's residual shrinks from step to step hardly
// depends on the prompt. The ratios are measured once; their product over the steps since the last
// computed one says how wrong the held residual has become.
//
//   table      γ(k) = mean over tokens of |R_k|₂ / |R_{k−1}|₂, R = Y − X of the stack, per branch
//   verdict    a ← a·γ(k), n ← n + 1, E ← E + |1 − a|;  E < threshold and n <= max_skipped reuses;
//              else it computes and a = 1, n = 0, E = 0
//   payload    one stack residual per branch, Y = X + R
//   always     the first `retain_first` steps are computed
// Published code; each branch decides by its own ratios. Differs: the code rounds a share of the
// steps down, here it is rounded to the nearest; the code takes the nearest ratio of a table for
// another number of steps, here such a table is refused. A ratio that could not be measured (the
// first step of an expert) computes.
#include <array>
#include <cmath>

#include "cache/amounts.h"
#include "cache/calibrated_table.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "ratios";

struct MagcacheParams final : CalibratedParams {
  double threshold = 0.12;
  std::int64_t max_skipped = 2;
  std::string retain_first = "20%";

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse while the summed error is below this; 0: never"}, threshold,
             {.low = 0});
    v.integer({"max_skipped", "most steps reused in a row"}, max_skipped, {.low = 1});
    v.text({"retain_first", "first steps that are always computed"}, retain_first, kStepCountForm);
    visit_table(v, {kTable,
                    "rows `cond` and `uncond`: the ratio of every step; without `uncond` "
                    "both go by `cond`"});
  }
  void check(const Origin& origin) const override {
    check_step_count(retain_first, origin.at("retain_first"));
    check_table(kTable, origin);
  }
};

// Of one branch since it was last computed.
struct Drift {
  double product = 1;
  std::int64_t skipped = 0;
  double error = 0;
};

class MagcachePolicy final : public CachePolicy {
 public:
  MagcachePolicy(const MagcacheParams& params, const Origin& origin, const RunShape& shape)
      : threshold_(params.threshold),
        max_skipped_(params.max_skipped),
        first_(step_count(params.retain_first, shape.num_steps, origin.at("retain_first"))) {
    const CalibratedTable table = params.load_table(kTable, "magcache", origin, shape.identity);
    const auto steps = static_cast<std::size_t>(shape.num_steps);
    ratios_.fill(table.row("cond", steps, origin.at(kTable)));
    if (table.find("uncond") != nullptr) {
      ratios_[index_of(Branch::kUncond)] = table.row("uncond", steps, origin.at(kTable));
    }
    needs_.sites = {Site::kStack};
    needs_.rebuild = Rebuild::parse("residual", origin);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    for (const Branch branch : kBranches) {
      if (reuses(context, branch)) plan.branches[index_of(branch)].reuse = Site::kStack;
    }
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    for (const Branch branch : kBranches) {
      const bool reused = observation.branches[index_of(branch)].done.reuse == Site::kStack;
      Drift& drift = drifts_[index_of(branch)];
      drift = reused ? grown(context.step, branch) : Drift();
      reused_step_[index_of(branch)] = reused ? context.step : -1;
    }
    expert_ = context.expert;
  }

 private:
  // Part 1 of a Heun step follows part 0.
  bool reuses(const EvaluationContext& context, Branch branch) const {
    if (context.part == 1) return reused_step_[index_of(branch)] == context.step;
    if (context.step < first_ || context.expert != expert_) return false;
    const Drift drift = grown(context.step, branch);
    return drift.error < threshold_ && drift.skipped <= max_skipped_;
  }

  Drift grown(std::int64_t step, Branch branch) const {
    Drift drift = drifts_[index_of(branch)];
    drift.product *= ratios_[index_of(branch)][static_cast<std::size_t>(step)];
    ++drift.skipped;
    drift.error += std::abs(1 - drift.product);
    return drift;
  }

  double threshold_;
  std::int64_t max_skipped_;
  std::int64_t first_;
  std::array<std::vector<double>, kNumBranches> ratios_;  // per step
  std::array<Drift, kNumBranches> drifts_;
  std::array<std::int64_t, kNumBranches> reused_step_ = {-1, -1};
  std::size_t expert_ = 0;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo magcache_cache_policy() {
  return {
      .name = "magcache",
      .summary = "MagCache: reuses the stack while measured ratios say that little changed",
      .provenance = Provenance::kPublishedCode,
      .params = describe_params(MagcacheParams()),
      .presets = {{"slow", "Wan 2.1: threshold 0.12, at most 2 in a row", R"({})"},
                  {"fast", "Wan 2.1: threshold 0.12, at most 4 in a row", R"({"max_skipped": 4})"},
                  {"hunyuan-video", "HunyuanVideo: threshold 0.24, at most 6 in a row",
                   R"({"threshold": 0.24, "max_skipped": 6})"},
                  {"flux", "FLUX: threshold 0.24, at most 5 in a row, the first tenth computed",
                   R"({"threshold": 0.24, "max_skipped": 5, "retain_first": "10%"})"}},
      .tunable = R"({"threshold": [0.06, 0.12, 0.24], "max_skipped": [2, 4]})",
      .table = kTable,
      .resolve = resolve_policy_params<MagcacheParams>,
      .make = make_policy<MagcachePolicy, MagcacheParams>};
}

}  // namespace bw
