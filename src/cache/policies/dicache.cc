// DiCache: the first block always runs; the change of its output from step to step is summed up,
// and while the sum is below the threshold the other blocks' residual is carried on along the way
// that the first block's residual tells.
//
//   signal     d(k) = |y_k − y_{k−1}|_1 / |y_{k−1}|_1 of the first block's output y in fp32; the
//              OLDER tensor is the denominator; k−1 is the last SEEN step, computed or not
//   verdict    A + d(k) < threshold reuses and adds d(k) to A; else it computes and A = 0
//   payload    residuals R₁ and R₂ of the last two computed steps:
//              R = R₂ + γ (R₁ − R₂), γ = clip(|p − p₂|_1 / |p₁ − p₂|_1, 1, max_gamma),
//              p what the first block adds now, p₁ and p₂ what it added at those steps
//   always     the first `retain_first` and the last `retain_last` steps are computed
// Published code, its error measure delta_y; the other, |delta_y − delta_x| with the change of the
// stack's input, is not here. Differs in three things: R is added to the first block's output and
// is what the blocks after it added, while the released code adds the whole stack's residual to the
// stack's input; the conditional branch's d and γ serve both branches; the released code's warm-up
// is one step longer. Without a second computed step R₁ is held.
#include <algorithm>
#include <optional>
#include <string>

#include "cache/amounts.h"
#include "cache/policies/accumulated_change.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct DicacheParams final : Params {
  double threshold = 0.08;
  double max_gamma = 2;
  std::string retain_first = "20%";
  std::int64_t retain_last = 1;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse while the first block's summed change is below this; 0: never"},
             threshold, {.low = 0});
    v.number({"max_gamma", "how far a residual is carried on at most; 1 holds the last one"},
             max_gamma, {.low = 1});
    v.text({"retain_first", "first steps that are always computed"}, retain_first, kStepCountForm);
    v.integer({"retain_last", "last steps that are always computed"}, retain_last, {.low = 0});
  }
  void check(const Origin& origin) const override {
    check_step_count(retain_first, origin.at("retain_first"));
  }
};

class DicachePolicy final : public CachePolicy {
 public:
  DicachePolicy(const DicacheParams& params, const Origin& origin, const RunShape& shape)
      : max_gamma_(params.max_gamma),
        change_(
            {.threshold = params.threshold,
             .first = step_count(params.retain_first, shape.num_steps, origin.at("retain_first")),
             .last = params.retain_last,
             .num_steps = shape.num_steps}) {
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      if (num_blocks > 1) continue;
      reject(origin, "needs a model of at least two blocks, this one has " +
                         std::to_string(num_blocks) + "; use teacache, which needs one");
    }
    needs_.sites = {Site::kMiddle};
    needs_.middle.first = 1;
    needs_.rebuild = Rebuild::weighted(/*residual=*/true);
    needs_.signal = {.kind = SignalKind::kBlockOutput,
                     .branches = {true, false},
                     .early = true,
                     .against_computed = false,
                     .progress = true};
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    return change_.plan(context);
  }

  Verdict confirm(const EvaluationContext& context, Branch /*branch*/,
                  const EarlySignals& signals) const override {
    const EarlySignal& cond = signals[index_of(Branch::kCond)];
    return {change_.allows(context, cond.distance), gamma(cond.progress) - 1};
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    change_.observe(context, reused_middle(observation), early_distance(observation));
  }

 private:
  // NaN, which 0 / 0 gives, holds.
  double gamma(std::optional<double> progress) const {
    if (!progress || !(*progress > 1)) return 1;
    return std::min(*progress, max_gamma_);
  }

  double max_gamma_;
  AccumulatedChange change_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo dicache_cache_policy() {
  return {.name = "dicache",
          .summary = "DiCache: the first block says when to compute and how far residuals moved",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(DicacheParams()),
          .presets = {{"fast", "the threshold of the authors' comparisons: 0.4",
                       R"({"threshold": 0.4})"},
                      {"flux", "the authors' script for FLUX.1: 0.4, gamma up to 1.5",
                       R"({"threshold": 0.4, "max_gamma": 1.5})"}},
          .tunable = R"({"threshold": "auto", "max_gamma": [1, 2]})",
          .resolve = resolve_policy_params<DicacheParams>,
          .make = make_policy<DicachePolicy, DicacheParams>};
}

}  // namespace bw
