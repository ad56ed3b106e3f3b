// MeanCache (arXiv 2601.19961, ICLR 2026): where a prediction is left out, the velocity before it
// is corrected towards the mean velocity of the step, which the latents of earlier steps tell. The
// steps to compute, and how far back to look between them, come from a path that avoids peaks.
//
//   payload    v̂_k = v_{k−1} − J · (σ_{k+1} − σ_k), r = k − span,
//              J = (v_r − (z_k − z_r) / (σ_k − σ_r)) / (σ_k − σ_r)
//              v the guided prediction, computed or made so, z the latents that enter a step; with
//              Euler's steps a span of 1 holds
//   table      C(i, j) = |û − u|₁ / |u|₁, u = Σ Δσ v / Σ Δσ the mean velocity from step i to step j
//              of an uncached run, û the same with the steps i+1 … j−1 made from those before,
//              along Euler's path; the least over the spans 1 … 6, and the span that has it
//   schedule   the path 0 → … → T−1 of `computed` steps for which Σ C(i, j)^peak is least (the
//              paper's peak-suppressed shortest path); the steps of an edge take its span
//   always     the first and the last step are computed
// Reconstruction: payload and spans follow the released code, which brings finished schedules for
// two image models. That C is relative and peak = 4 are our choice; the paper's bound on the number
// of steps is met exactly. Flow models only, which are all that a scheduler here takes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "cache/amounts.h"
#include "cache/calibrated_table.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "errors";

struct MeancacheParams final : CalibratedParams {
  std::string computed = "50%";
  std::int64_t max_lag = 8;
  double peak = 4;

  void visit(ParamVisitor& v) override {
    v.text({"computed", "how many steps are computed; the first and the last always are"}, computed,
           kStepCountForm);
    v.integer({"max_lag", "most steps from one computed step to the next"}, max_lag,
              {.low = 2, .high = 100});
    v.number({"peak",
              "the sum of the errors to this power is kept least; the larger, the more the largest "
              "counts"},
             peak, {.low = 1, .high = 16});
    visit_table(v,
                {kTable,
                 "rows LAG: the error of the mean velocity from every step to the one LAG later, "
                 "those between left out; rows LAG.span: the span that has it"});
  }
  void check(const Origin& origin) const override {
    check_step_count(computed, origin.at("computed"));
    check_table(kTable, origin);
  }
};

// An edge from a step to a later one.
struct Edge {
  double error = std::numeric_limits<double>::infinity();
  std::int64_t span = 0;
};
using Edges = std::vector<std::vector<Edge>>;  // [lag − 1][step it leaves]

// The steps of the path 0 → … → `last` of `count` edges for which the sum of error^peak is least;
// of equal ones that whose last edges are shortest. Empty when every path has an unknown error.
std::vector<std::size_t> mildest_path(const Edges& edges, std::size_t last, std::size_t count,
                                      double peak) {
  if (count > last) return {};
  struct Reached {
    double sum = std::numeric_limits<double>::infinity();
    std::size_t from = 0;
  };
  std::vector<std::vector<Reached>> best(count + 1, std::vector<Reached>(last + 1));
  best[0][0].sum = 0;
  for (std::size_t edge = 0; edge < count; ++edge) {
    for (std::size_t to = 1; to <= last; ++to) {
      Reached& known = best[edge + 1][to];
      for (std::size_t lag = 1; lag <= std::min(edges.size(), to); ++lag) {
        const double error = edges[lag - 1][to - lag].error;
        const double sum = best[edge][to - lag].sum + std::pow(error, peak);
        if (sum < known.sum) known = {sum, to - lag};
      }
    }
  }
  if (!std::isfinite(best[count][last].sum)) return {};
  std::vector<std::size_t> path = {last};
  for (std::size_t edge = count; edge > 0; --edge) path.push_back(best[edge][path.back()].from);
  std::reverse(path.begin(), path.end());
  return path;
}

class MeancachePolicy final : public CachePolicy {
 public:
  MeancachePolicy(const MeancacheParams& params, const Origin& origin, const RunShape& shape)
      : spans_(static_cast<std::size_t>(shape.num_steps), 0) {
    const CalibratedTable table = params.load_table(kTable, "meancache", origin, shape.identity);
    const Edges edges =
        read_edges(table, static_cast<std::size_t>(params.max_lag), origin.at(kTable));
    const std::size_t last = spans_.size() - 1;
    const auto wanted = static_cast<std::size_t>(
        step_count(params.computed, shape.num_steps, origin.at("computed")));
    const std::size_t count = std::max(wanted, std::min<std::size_t>(2, spans_.size()));
    const auto path_of = [&](std::size_t computed) {
      return mildest_path(edges, last, computed - 1, params.peak);
    };
    const std::vector<std::size_t> path = path_of(count);
    if (path.empty()) {
      std::size_t least = 1;
      while (least < spans_.size() && path_of(least).empty()) ++least;
      reject(origin.at("computed"),
             "must be " + std::to_string(least) + " to " + std::to_string(spans_.size()) + " of " +
                 std::to_string(spans_.size()) +
                 " steps with max_lag=" + std::to_string(params.max_lag) + ", got " +
                 params.computed + " (" + std::to_string(count) + " steps)");
    }
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      const std::int64_t span = edges[path[i + 1] - path[i] - 1][path[i]].span;
      for (std::size_t step = path[i] + 1; step < path[i + 1]; ++step) spans_[step] = span;
    }
    const std::int64_t longest = *std::max_element(spans_.begin(), spans_.end());
    needs_.sites = {Site::kGuided};
    needs_.rebuild = Rebuild::mean_velocity(std::max(1, static_cast<int>(longest)));
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const std::int64_t span = spans_[static_cast<std::size_t>(context.step)];
    if (span == 0) return plan;
    plan.reuse_guided = true;
    plan.guided_weight = static_cast<double>(span);
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  // To compute the next step has no error.
  Edges read_edges(const CalibratedTable& table, std::size_t max_lag, const Origin& origin) const {
    const std::size_t steps = spans_.size();
    Edges edges(max_lag);
    edges.front().assign(steps, Edge{0, 0});
    for (std::size_t lag = 2; lag <= max_lag; ++lag) {
      const std::size_t size = steps > lag ? steps - lag : 0;
      const std::string name = std::to_string(lag);
      const std::vector<double>& errors = table.row(name, size, origin);
      const std::vector<double>& spans = table.row(name + ".span", size, origin);
      for (std::size_t from = 0; from < size; ++from) {
        Edge& edge = edges[lag - 1].emplace_back();
        if (!std::isfinite(errors[from])) continue;
        const double span = spans[from];
        if (!(span >= 1 && span <= Rebuild::kMaxSpan && std::floor(span) == span)) {
          reject(origin, "row '" + name + ".span': " + Json(span).dump() + " is no span, 1 to " +
                             std::to_string(Rebuild::kMaxSpan) + "; calibrate again");
        }
        edge = {errors[from], static_cast<std::int64_t>(span)};
      }
      // Edges beyond the last step.
      edges[lag - 1].resize(steps);
    }
    return edges;
  }

  std::vector<std::int64_t> spans_;  // per step; 0: computed
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo meancache_cache_policy() {
  return {.name = "meancache",
          .summary = "MeanCache: carries the prediction on by the mean velocity of earlier steps",
          .provenance = Provenance::kReconstruction,
          .params = describe_params(MeancacheParams()),
          .presets = {},
          .tunable = R"({"computed": ["30%", "40%", "50%", "60%"]})",
          .table = kTable,
          .resolve = resolve_policy_params<MeancacheParams>,
          .make = make_policy<MeancachePolicy, MeancacheParams>};
}

}  // namespace bw
