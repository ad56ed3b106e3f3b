// SortBlock (arXiv 2508.00412): blocks are sorted by how much what they add has changed; until the
// next full step the ones that changed most run, the others are extrapolated.
//
//   cycle      while window_low <= t <= window_high a full step, which computes all blocks, is
//              followed by interval − 1 steps that do not; otherwise every step is full
//   signal     q(n) = 1 − mean over tokens of cos(r_n, r'_n), r_n the residual of block n in fp32,
//              first eighth of the channels, r'_n that of the step that computed the block last
//   verdict    at a full step the floor(N ρ) blocks with the largest q are listed; they run until
//              the next one. ρ = beta · poly(t), 0 … 1; without a polynomial ρ = beta
//   payload    the block's residual, extrapolated linearly
// Published description. The released code scores the step after the full one, where most residuals
// are forecasts; here the two residuals computed last are compared, as the text has it (a listed
// block's lie closer together). Its "<=" lists one block more than floor(N ρ). It counts cycles by
// calls; here they begin at the last full step, whatever a guard made one. The conditional branch's
// q serves both.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "cache/policies/all_blocks.h"
#include "cache/policies/policy_factory.h"
#include "cache/policies/polynomial.h"

namespace bw {
namespace {

struct SortblockParams final : Params {
  double beta = 0.1;
  std::string polynomial = "none";
  std::int64_t interval = 5;
  double window_high = 950;
  double window_low = 100;

  void visit(ParamVisitor& v) override {
    v.number({"beta", "share of the blocks that run at every step, times the polynomial's value"},
             beta, {.low = 0, .high = 1});
    v.text({"polynomial", "of the timestep: what beta is multiplied by"}, polynomial,
           kPolynomialForm);
    v.integer({"interval", "compute all blocks every n-th step; 1: always"}, interval, {.low = 1});
    v.number({"window_high", "timestep (0 … 1000) from which on blocks are left out"}, window_high,
             {.low = 0, .high = 1000});
    v.number({"window_low", "timestep down to which they are"}, window_low,
             {.low = 0, .high = 1000});
  }
  void check(const Origin& origin) const override {
    (void)Polynomial::parse(polynomial, origin.at("polynomial"));
    if (window_low < window_high) return;
    reject(origin.at("window_low"), "must be below window_high (" + Json(window_high).dump() +
                                        "), got " + Json(window_low).dump());
  }
};

class SortblockPolicy final : public CachePolicy {
 public:
  SortblockPolicy(const SortblockParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        polynomial_(Polynomial::parse(params.polynomial, origin.at("polynomial"))) {
    needs_.sites = {Site::kBlock};
    needs_.rebuild = Rebuild::parse("linear", origin);
    needs_.signal.kind = SignalKind::kBlockResidual;
    needs_.signal.metric = SignalMetric::kCosineDistance;
    needs_.signal.branches = {true, false};
    probe_and_reuse_all_blocks(needs_, shape);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const bool is_sorted = context.expert == expert_ && !reused_.empty();
    const bool is_inside =
        context.timestep >= params_.window_low && context.timestep <= params_.window_high;
    // The second part of a full step is full too.
    if (!is_sorted || !is_inside || context.step == full_) return plan;
    if (context.step - full_ >= params_.interval) return plan;
    if (std::ranges::find(reused_, true) == reused_.end()) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kBlock, .blocks = reused_};
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    if (cond.done.reuse != Site::kNone) return;
    expert_ = context.expert;
    full_ = context.step;
    reused_.clear();
    if (!cond.distances.empty()) reused_ = all_but_listed(cond.distances, context.timestep);
  }

 private:
  std::vector<bool> all_but_listed(const std::vector<double>& changes, double timestep) const {
    const double value = polynomial_.is_none() ? 1 : polynomial_.at(timestep);
    const double share = std::clamp(params_.beta * value, 0.0, 1.0);
    const auto listed =
        static_cast<std::size_t>(std::floor(share * static_cast<double>(changes.size())));
    std::vector<std::size_t> order(changes.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    // Of blocks that changed alike the first one comes first; NaN changed most.
    const auto key = [&](std::size_t block) {
      return std::isnan(changes[block]) ? HUGE_VAL : changes[block];
    };
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
    std::vector<bool> reused(changes.size(), true);
    for (std::size_t i = 0; i < listed; ++i) reused[order[i]] = false;
    return reused;
  }

  SortblockParams params_;
  Polynomial polynomial_;
  std::size_t expert_ = 0;
  std::int64_t full_ = -1;    // last step that computed all blocks
  std::vector<bool> reused_;  // until the next one; empty: none is sorted yet
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo sortblock_cache_policy() {
  return {.name = "sortblock",
          .summary = "SortBlock: runs the blocks that changed most, extrapolates the others",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(SortblockParams()),
          .presets = {{"wan",
                       "Wan2.1's polynomial and window; interval and beta are no published "
                       "setting (the released script computes all blocks)",
                       R"({"beta": 1, "interval": 4, "window_high": 900, "polynomial":
                  "-1.74367e-15;1.20871e-11;-2.11429e-8;1.49777e-5;-4.53e-3;0.4971"})"},
                      {"hunyuan-video", "HunyuanVideo's polynomial, beta 0.1, every 5th step, 965",
                       R"({"beta": 0.1, "interval": 5, "window_high": 965, "polynomial":
                  "8.43677e-14;-2.23758e-10;2.17396e-7;-9.14454e-5;1.364e-2;0.33195"})"}},
          .tunable = R"({"beta": [0.1, 0.25, 0.5], "interval": [2, 3, 5]})",
          .resolve = resolve_policy_params<SortblockParams>,
          .make = make_policy<SortblockPolicy, SortblockParams>};
}

}  // namespace bw
