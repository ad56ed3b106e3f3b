// EasyCache (arXiv 2507.02860): how much the prediction changes per change of the latents, measured
// between computed steps, tells from the latents alone how far it has moved since; while the sum of
// that is below the threshold the model is not run at all.
//
//   signal     κ = |v − v'| / |z − z'| between the last two COMPUTED steps, means of absolute
//   values;
//              e(k) = κ · |z_k − z_{k−1}| / |v|, k−1 the last SEEN step, v the last computed
//              prediction of the conditional branch
//   verdict    A + e(k) < threshold reuses and adds e(k) to A; else it computes and A = 0
//   payload    per branch v − z: the prediction is z_k + (v − z)
//   always     the first `retain_first` and the last `retain_last` steps are computed
// Published code. Its first steps are a fixed number (10 of Wan's 50); here a share of the steps as
// well. One verdict serves both branches.
#include <limits>

#include "cache/amounts.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct EasycacheParams final : Params {
  double threshold = 0.05;
  std::string retain_first = "20%";
  std::int64_t retain_last = 1;

  void visit(ParamVisitor& v) override {
    v.number(
        {"threshold", "reuse while the summed change of the prediction is below this; 0: never"},
        threshold, {.low = 0});
    v.text({"retain_first", "first steps that are always computed"}, retain_first, kStepCountForm);
    v.integer({"retain_last", "last steps that are always computed"}, retain_last, {.low = 0});
  }
  void check(const Origin& origin) const override {
    check_step_count(retain_first, origin.at("retain_first"));
  }
};

class EasycachePolicy final : public CachePolicy {
 public:
  EasycachePolicy(const EasycacheParams& params, const Origin& origin, const RunShape& shape)
      : threshold_(params.threshold),
        first_(step_count(params.retain_first, shape.num_steps, origin.at("retain_first"))),
        last_(shape.num_steps - params.retain_last) {
    needs_.sites = {Site::kBranch};
    needs_.rebuild = Rebuild::parse("residual", origin);
    needs_.latents = true;
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const bool reuse =
        context.part > 0 ? reused_step_ == context.step : sum_with(context) < threshold_;
    if (!reuse || context.step < first_ || context.step >= last_) return plan;
    for (BranchPlan& branch : plan.branches) branch.reuse = Site::kBranch;
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const bool reused = observation.branches[index_of(Branch::kCond)].done.reuse == Site::kBranch;
    sum_ = reused ? sum_with(context) : 0;
    reused_step_ = reused ? context.step : -1;
  }

 private:
  // Infinite where the change of the prediction cannot be told.
  double sum_with(const EvaluationContext& context) const {
    constexpr double kUnknown = std::numeric_limits<double>::infinity();
    if (!context.latents || !context.latents->rate || !(context.latents->size > 0)) return kUnknown;
    return sum_ + *context.latents->rate * context.latents->change / context.latents->size;
  }

  double threshold_;
  std::int64_t first_;
  std::int64_t last_;
  double sum_ = 0;
  std::int64_t reused_step_ = -1;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo easycache_cache_policy() {
  return {.name = "easycache",
          .summary = "EasyCache: leaves the model out while the latents say that little changed",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(EasycacheParams()),
          .presets = {{"wan", "Wan 2.1: threshold 0.05, the first 10 of 50 steps", R"({})"},
                      {"hunyuan-video", "HunyuanVideo: threshold 0.025, the first 5 of 50 steps",
                       R"({"threshold": 0.025, "retain_first": "10%"})"}},
          .tunable = R"({"threshold": "auto", "retain_first": ["10%", "20%", "30%"]})",
          .resolve = resolve_policy_params<EasycacheParams>,
          .make = make_policy<EasycachePolicy, EasycacheParams>};
}

}  // namespace bw
