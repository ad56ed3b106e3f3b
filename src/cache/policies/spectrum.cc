// Spectrum: Chebyshev polynomials are fitted over the steps to what the stack added at computed
// steps, and forecast it at the steps between; the farther the run, the longer between two computed
// ones. Nothing is measured.
//
//   computed   step k  iff  k < warmup, k >= stop · T, or
//              k − (last computed step) >= floor(window)
//   window     window_size at first; every computed step that follows the warm-up adds flex_window
//   payload    the residuals of the last max(degree + 1, 6) computed steps: ridge regression on
//              T_0 … T_degree, blended with the line through the last two (rebuild.h)
// Published description: the schedule and its numbers follow public ports. Those carry the line on
// by half a distance whatever the step, and forecast the prediction; here the line goes to the step
// itself, and the stack's residual is forecast. A new expert starts a warm-up of its own.
#include <algorithm>
#include <cmath>

#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::int64_t kShortestHistory = 6;  // computed steps

struct SpectrumParams final : Params {
  std::int64_t window_size = 2;
  double flex_window = 0.5;
  std::int64_t retain_first = 4;
  double stop = 0.9;
  std::int64_t degree = 3;
  double ridge = 1;
  double blend = 0.4;

  void visit(ParamVisitor& v) override {
    v.integer({"window_size", "compute every n-th step after the warm-up; 1: always, at first"},
              window_size, {.low = 1});
    v.number({"flex_window", "what the window grows by with each computed step"}, flex_window,
             {.low = 0});
    v.integer({"retain_first", "first steps that are always computed"}, retain_first, {.low = 2});
    v.number({"stop", "share of the steps from which on all are computed"}, stop,
             {.low = 0, .high = 1});
    v.integer({"degree", "highest Chebyshev polynomial"}, degree, {.low = 1, .high = 8});
    v.number({"ridge", "weight of the regression's penalty"}, ridge,
             {.low = 0, .exclusive_low = true});
    v.number({"blend", "share of the fit; the rest is the line through the last two"}, blend,
             {.low = 0, .high = 1});
  }
};

class SpectrumPolicy final : public CachePolicy {
 public:
  SpectrumPolicy(const SpectrumParams& params, const Origin& /*origin*/, const RunShape& shape)
      : params_(params),
        stop_(static_cast<std::int64_t>(
            std::floor(params.stop * static_cast<double>(shape.num_steps)))),
        window_(static_cast<double>(params.window_size)) {
    needs_.sites = {Site::kStack};
    needs_.rebuild = Rebuild::chebyshev(
        {.degree = static_cast<int>(params.degree),
         .window = static_cast<int>(std::max(params.degree + 1, kShortestHistory)),
         .ridge = params.ridge,
         .blend = params.blend});
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const bool is_warm = context.expert == expert_ && computed_ >= params_.retain_first;
    // The second part of a computed step is computed too.
    if (!is_warm || context.step >= stop_ || context.step == last_) return plan;
    if (static_cast<double>(context.step - last_) >= std::floor(window_)) return plan;
    for (BranchPlan& branch : plan.branches) branch.reuse = Site::kStack;
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    if (cond.done.reuse != Site::kNone) return;
    if (context.expert != expert_) {
      expert_ = context.expert;
      computed_ = 0;
      window_ = static_cast<double>(params_.window_size);
    }
    if (computed_ >= params_.retain_first) window_ += params_.flex_window;
    ++computed_;
    last_ = context.step;
  }

 private:
  SpectrumParams params_;
  std::int64_t stop_;  // step
  double window_;
  std::size_t expert_ = 0;
  std::int64_t computed_ = 0;  // steps of this expert
  std::int64_t last_ = -1;     // step that was computed
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo spectrum_cache_policy() {
  return {.name = "spectrum",
          .summary = "Spectrum: forecasts the stack by Chebyshev polynomials, ever longer",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(SpectrumParams()),
          .presets = {{"steady", "every second step after the warm-up, however long the run",
                       R"({"flex_window": 0})"}},
          .tunable = R"({"window_size": [2, 3], "flex_window": [0, 0.5, 1],
                "blend": [0, 0.4, 1]})",
          .resolve = resolve_policy_params<SpectrumParams>,
          .make = make_policy<SpectrumPolicy, SpectrumParams>};
}

}  // namespace bw
