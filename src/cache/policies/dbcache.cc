// DBCache (cache-dit) and its special case FBCache (ParaAttention, diffusers): the first F blocks
// always run; while what they add to the stack's input has changed little, the blocks in between
// are left out and their residual is added; the last B blocks run again.
//
//   signal     d = |f − f_ref|_1 / |f_ref|_1, f = h_F − h_0 in fp32; the OLDER tensor is the
//              denominator; f_ref is of the last COMPUTED step; nothing accumulates
//   verdict    d < threshold, and neither limit on reuse is reached
//   payload    the residual of the middle blocks, Y = h_F + R, held or extrapolated
//   always     step 0 is computed; more by the guard `warmup`, of which DBCache takes 8
// F = 1, B = 0 is FBCache. Published code. The released code lets each branch decide for itself
// when the branches run apart; `verdict=each` does that, `cond` lets the conditional one decide for
// both.
#include <array>

#include "base/error.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::array<std::string_view, 2> kVerdicts = {"cond", "each"};

struct DbcacheParams final : Params {
  double threshold = 0.08;
  std::int64_t front_blocks = 1;
  std::int64_t back_blocks = 0;
  std::int64_t max_reused = 0;
  std::string rebuild = "residual";
  std::string verdict = "cond";

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse while the first blocks' residual changed less; 0: never"},
             threshold, {.low = 0});
    v.integer({"front_blocks", "F: first blocks that always run"}, front_blocks, {.low = 1});
    v.integer({"back_blocks", "B: last blocks that always run"}, back_blocks, {.low = 0});
    v.integer({"max_reused", "most steps reused in all; 0: no limit"}, max_reused, {.low = 0});
    v.text({"rebuild", "how the reused blocks get their value"}, rebuild, Rebuild::kForm);
    v.choice({"verdict", "which guidance branch decides: cond for both, or each for itself"},
             verdict, kVerdicts);
  }
  void check(const Origin& origin) const override {
    (void)Rebuild::parse(rebuild, origin.at("rebuild"));
  }
};

class DbcachePolicy final : public CachePolicy {
 public:
  DbcachePolicy(const DbcacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params), each_(params.verdict == "each") {
    const auto first = static_cast<std::size_t>(params.front_blocks);
    const auto last = static_cast<std::size_t>(params.back_blocks);
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      if (first + last < num_blocks) continue;
      reject(origin.at("front_blocks"),
             "together with back_blocks must be less than the " + std::to_string(num_blocks) +
                 " blocks of the model, got " + std::to_string(first + last));
    }
    needs_.sites = {Site::kMiddle};
    needs_.middle = {first, last};
    needs_.rebuild = Rebuild::parse(params.rebuild, origin.at("rebuild"));
    needs_.signal = {.kind = SignalKind::kBlockResidual, .branches = {true, each_}, .early = true};
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.step == 0) return plan;
    for (const Branch branch : kBranches) {
      const bool allowed =
          params_.max_reused == 0 || reused_[index_of(branch)] < params_.max_reused;
      if (!allowed) continue;
      plan.branches[index_of(branch)] = {.reuse = Site::kMiddle, .ask = true};
    }
    return plan;
  }

  Verdict confirm(const EvaluationContext& /*context*/, Branch branch,
                  const EarlySignals& signals) const override {
    const std::optional<double>& change =
        signals[index_of(each_ ? branch : Branch::kCond)].distance;
    return change && *change < params_.threshold;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    for (const Branch branch : kBranches) {
      const BranchObservation& seen = observation.branches[index_of(branch)];
      // A branch that guidance left out follows the conditional one, so that both stay in step.
      const BranchObservation& done =
          seen.ran ? seen : observation.branches[index_of(Branch::kCond)];
      reused_[index_of(branch)] += done.done.reuse == Site::kMiddle ? 1 : 0;
    }
  }

 private:
  DbcacheParams params_;
  bool each_;
  std::array<std::int64_t, kNumBranches> reused_{};  // steps so far
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo dbcache_cache_policy() {
  return {.name = "dbcache",
          .summary = "DBCache, FBCache: the first blocks decide whether the middle ones run",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(DbcacheParams()),
          .presets = {{"fbcache", "first-block cache: F = 1, B = 0, threshold 0.08 (ParaAttention)",
                       R"({"front_blocks": 1, "back_blocks": 0, "threshold": 0.08})",
                       /*is_name=*/true},
                      {"fbcache-diffusers", "diffusers' FirstBlockCache: threshold 0.05",
                       R"({"front_blocks": 1, "back_blocks": 0, "threshold": 0.05,
                  "verdict": "each"})"},
                      {"fbcache-taylor", "F = 1, the middle extrapolated linearly (TaylorSeer)",
                       R"({"front_blocks": 1, "rebuild": "linear"})",
                       /*is_name=*/true}},
          .tunable = R"({"threshold": "auto", "rebuild": ["residual", "linear"]})",
          .resolve = resolve_policy_params<DbcacheParams>,
          .make = make_policy<DbcachePolicy, DbcacheParams>};
}

}  // namespace bw
