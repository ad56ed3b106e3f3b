// LeMiCa (NeurIPS 2025): what matters is the error of the finished latents. It is measured for
// every single stretch of reuse; of all ways to compute a given number of steps the one whose worst
// stretch is mildest is taken.
//
//   table      E(i, j) = |x − x'|₁ / |x|₁ of the final latents, x' with the steps i+1 … j−1 reused
//              from step i and all others computed
//   schedule   the path 0 → … → T of `computed` edges whose errors, in descending order, are
//              lexicographically least
//   payload    one stack residual per branch, Y = X + R
// After notes on the paper; its tables and its code are not public. The payload is that of the
// methods that it compares with.
#include <algorithm>
#include <string>

#include "cache/amounts.h"
#include "cache/calibrated_table.h"
#include "cache/leximax_path.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "errors";

struct LemicaParams final : CalibratedParams {
  std::string computed = "50%";
  std::int64_t max_lag = 4;

  void visit(ParamVisitor& v) override {
    v.text({"computed", "how many steps are computed"}, computed, kStepCountForm);
    v.integer({"max_lag",
               "most steps from one computed step to the next; calibrating runs every "
               "clip once for each lag above 1 and step"},
              max_lag, {.low = 2, .high = 100});
    visit_table(v, {kTable,
                    "rows LAG: the error of the result when the steps between every step "
                    "and the one LAG later are reused"});
  }
  void check(const Origin& origin) const override {
    check_step_count(computed, origin.at("computed"));
    check_table(kTable, origin);
  }
};

class LemicaPolicy final : public CachePolicy {
 public:
  LemicaPolicy(const LemicaParams& params, const Origin& origin, const RunShape& shape)
      : reused_(static_cast<std::size_t>(shape.num_steps), true) {
    const CalibratedTable table = params.load_table(kTable, "lemica", origin, shape.identity);
    const std::size_t steps = reused_.size();
    std::vector<std::vector<double>> errors;
    for (std::size_t lag = 1; lag <= static_cast<std::size_t>(params.max_lag); ++lag) {
      const std::size_t size = steps + 1 > lag ? steps + 1 - lag : 0;
      errors.push_back(table.row(std::to_string(lag), size, origin.at(kTable)));
    }
    const auto count = static_cast<std::size_t>(
        step_count(params.computed, shape.num_steps, origin.at("computed")));
    const std::vector<std::size_t> computed = leximax_path(errors, steps, count);
    if (computed.empty()) {
      const std::size_t least = (steps + errors.size() - 1) / errors.size();
      reject(origin.at("computed"),
             "must be " + std::to_string(least) + " to " + std::to_string(steps) + " of " +
                 std::to_string(steps) + " steps with max_lag=" + std::to_string(params.max_lag) +
                 ", got " + params.computed + " (" + std::to_string(count) + " steps)");
    }
    for (const std::size_t step : computed) reused_[step] = false;
    needs_.sites = {Site::kStack};
    needs_.rebuild = Rebuild::parse("residual", origin);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (!reused_[static_cast<std::size_t>(context.step)]) return plan;
    for (BranchPlan& branch : plan.branches) branch.reuse = Site::kStack;
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  std::vector<bool> reused_;  // per step
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo lemica_cache_policy() {
  return {.name = "lemica",
          .summary = "LeMiCa: computes the steps that keep the measured error of the result least",
          .provenance = Provenance::kReconstruction,
          .params = describe_params(LemicaParams()),
          .presets = {},
          .tunable = R"({"computed": ["40%", "50%", "60%", "75%"]})",
          .table = kTable,
          .resolve = resolve_policy_params<LemicaParams>,
          .make = make_policy<LemicaPolicy, LemicaParams>};
}

}  // namespace bw
