// TaoCache (arXiv 2508.08978): late in a run the difference between neighbouring predictions turns
// and shrinks in a way that hardly depends on the prompt. What it does on average is measured once;
// every second late step takes a prediction that continues the last difference.
//
//   table      w(k) = cos(d_k, d') · |d_k|₂ / |d'|₂, means over clips, d_k = ε_k − ε_{k−1}, and
//              d' = ε_{k−1} − ε_{k−1−g} the difference of the last two computed predictions, g
//              steps apart; a row for each g, 1 and 2
//   verdict    from step s = `reuse_from` on: s, s + 2 … reuse, the steps between them compute; at
//              least two computed steps must be there, the last of them the step before
//   payload    ε̂_k = ε_{k−1} + w(k) · d', the guided prediction: no branch runs
//   always     the last step is computed
// Reconstruction: no code is public, and the paper's text names the quantities, not the formula.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "cache/amounts.h"
#include "cache/calibrated_table.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "weights";
constexpr std::array<const char*, 2> kGaps = {"1", "2"};

struct TaocacheParams final : CalibratedParams {
  std::string reuse_from = "50%";

  void visit(ParamVisitor& v) override {
    v.text({"reuse_from", "first step that is reused; every second one follows"}, reuse_from,
           kStepCountForm);
    visit_table(v, {kTable,
                    "rows 1 and 2: how much of the last difference, over one or two steps, "
                    "every step continues"});
  }
  void check(const Origin& origin) const override {
    check_step_count(reuse_from, origin.at("reuse_from"));
    check_table(kTable, origin);
  }
};

class TaocachePolicy final : public CachePolicy {
 public:
  TaocachePolicy(const TaocacheParams& params, const Origin& origin, const RunShape& shape)
      : first_(step_count(params.reuse_from, shape.num_steps, origin.at("reuse_from"))) {
    const CalibratedTable table = params.load_table(kTable, "taocache", origin, shape.identity);
    const auto steps = static_cast<std::size_t>(shape.num_steps);
    for (std::size_t i = 0; i < kGaps.size(); ++i) {
      weights_[i] = table.row(kGaps[i], steps, origin.at(kTable));
    }
    needs_.sites = {Site::kGuided};
    needs_.rebuild = Rebuild::weighted(/*residual=*/false);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (!reuses(context)) return plan;
    plan.reuse_guided = true;
    plan.guided_weight = weight(context.step);
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    reused_step_ = observation.guided_reused ? context.step : -1;
    if (context.expert != expert_ || context.guided != guided_) {
      last_ = before_ = -1;
      expert_ = context.expert;
      guided_ = context.guided;
    }
    if (observation.guided_reused) return;
    before_ = last_;
    last_ = context.step;
  }

 private:
  // Part 1 of a Heun step follows part 0.
  bool reuses(const EvaluationContext& context) const {
    if (context.part == 1) return reused_step_ == context.step;
    if (context.step < first_ || (context.step - first_) % 2 != 0) return false;
    if (context.step + 1 == context.num_steps || context.expert != expert_) return false;
    if (context.guided != guided_ || before_ < 0 || last_ + 1 != context.step) return false;
    return last_ - before_ <= static_cast<std::int64_t>(kGaps.size()) &&
           std::isfinite(weight(context.step));
  }

  double weight(std::int64_t step) const {
    const auto gap = static_cast<std::size_t>(last_ - before_);
    return weights_[gap - 1][static_cast<std::size_t>(step)];
  }

  std::int64_t first_;
  std::array<std::vector<double>, kGaps.size()> weights_;  // by gap − 1, per step
  std::int64_t last_ = -1;                                 // computed step, and the one before it
  std::int64_t before_ = -1;
  std::int64_t reused_step_ = -1;
  std::size_t expert_ = 0;
  bool guided_ = false;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo taocache_cache_policy() {
  return {
      .name = "taocache",
      .summary = "TaoCache: continues the last change of the prediction at every second step",
      .provenance = Provenance::kReconstruction,
      .params = describe_params(TaocacheParams()),
      .presets = {{"early", "from the first quarter of the steps on", R"({"reuse_from": "25%"})"}},
      .tunable = R"({"reuse_from": ["30%", "50%", "70%"]})",
      .table = kTable,
      .resolve = resolve_policy_params<TaocacheParams>,
      .make = make_policy<TaocachePolicy, TaocacheParams>};
}

}  // namespace bw
