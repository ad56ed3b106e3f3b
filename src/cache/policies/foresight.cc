// Foresight: each block learns during the warm-up how much its output moves from step to step, and
// is reused later while it moves less than a share of that.
//
//   signal     m(k,n) = mean of (f_k,n − f_prev,n)² in fp32, f the output of block n, `prev` the
//              last step that COMPUTED the block
//   scale      λ_n = m(W−1,n) + 0.1 m(W−2,n) + 0.01 m(W−3,n), W the steps of the warm-up
//   verdict    block n is reused  iff  its latest m(n) < threshold · λ_n, at the first N of every R
//              steps after the warm-up (`reuse_steps`, `refresh_interval`); at the others all is
//              computed
//   payload    the block's output, held
// Published description (threshold is the paper's γ). The comparison is strict, so that 0 never
// reuses. A warm-up has two steps at least, since a change needs two. The conditional branch
// decides for both; a new expert starts a warm-up of its own.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cache/amounts.h"
#include "cache/policies/all_blocks.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::array<double, 3> kScaleWeights = {1, 0.1,
                                                 0.01};  // the last step of the warm-up first

struct ForesightParams final : Params {
  double threshold = 0.5;
  std::string warmup_steps = "15%";
  std::int64_t reuse_steps = 1;
  std::int64_t refresh_interval = 2;

  void visit(ParamVisitor& v) override {
    v.number({"threshold",
              "gamma: reuse a block while its change is below this share of its change in the "
              "warm-up; 0: never"},
             threshold, {.low = 0});
    v.text({"warmup_steps", "first steps that are computed and set the scale"}, warmup_steps,
           kStepCountForm);
    v.integer({"reuse_steps", "N: steps after a refresh that may reuse"}, reuse_steps, {.low = 1});
    v.integer({"refresh_interval", "R: steps from the first of these to the next first one"},
              refresh_interval, {.low = 2});
  }
  void check(const Origin& origin) const override {
    check_step_count(warmup_steps, origin.at("warmup_steps"));
    if (reuse_steps < refresh_interval) return;
    reject(origin.at("reuse_steps"), "must be below refresh_interval (" +
                                         std::to_string(refresh_interval) + "), got " +
                                         std::to_string(reuse_steps));
  }
};

class ForesightPolicy final : public CachePolicy {
 public:
  ForesightPolicy(const ForesightParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        warmup_(std::max<std::int64_t>(
            2, step_count(params.warmup_steps, shape.num_steps, origin.at("warmup_steps")))) {
    needs_.sites = {Site::kBlock};
    needs_.signal.kind = SignalKind::kBlockOutput;
    needs_.signal.metric = SignalMetric::kMeanSquare;
    needs_.signal.branches = {true, false};
    probe_and_reuse_all_blocks(needs_, shape);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.expert != expert_ || context.step < begin_ + warmup_) return plan;
    const std::int64_t position = (context.step - begin_ - warmup_) % params_.refresh_interval;
    if (position >= params_.reuse_steps || scales_.empty()) return plan;
    // The second part of a step follows the first, whose observation may have changed the verdict.
    std::vector<bool> blocks = context.step == step_ ? reused_ : verdict();
    if (std::ranges::find(blocks, true) == blocks.end()) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kBlock, .blocks = blocks};
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    if (context.expert != expert_) {
      expert_ = context.expert;
      begin_ = context.step;
      scales_.clear();
      changes_.clear();
    }
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    const std::size_t num_blocks = needs_.reusable_blocks[expert_].size();
    step_ = context.step;
    reused_ = cond.done.blocks;
    reused_.resize(num_blocks, false);
    if (cond.distances.empty()) return;
    changes_.resize(num_blocks, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t block = 0; block < num_blocks; ++block) {
      if (!reused_[block]) changes_[block] = cond.distances[block];
    }
    add_to_scales(context.step - begin_);
  }

 private:
  // step: of this expert's.
  void add_to_scales(std::int64_t step) {
    const std::int64_t age = warmup_ - 1 - step;
    if (age < 0 || age >= static_cast<std::int64_t>(kScaleWeights.size())) return;
    scales_.resize(changes_.size(), 0);
    for (std::size_t block = 0; block < changes_.size(); ++block) {
      scales_[block] += kScaleWeights[static_cast<std::size_t>(age)] * changes_[block];
    }
  }

  // NaN is below nothing.
  std::vector<bool> verdict() const {
    std::vector<bool> blocks;
    for (std::size_t block = 0; block < scales_.size(); ++block) {
      blocks.push_back(changes_[block] < params_.threshold * scales_[block]);
    }
    return blocks;
  }

  ForesightParams params_;
  std::int64_t warmup_;
  std::size_t expert_ = 0;
  std::int64_t begin_ = 0;       // first step of the expert
  std::vector<double> scales_;   // λ per block
  std::vector<double> changes_;  // the latest per block
  std::int64_t step_ = -1;       // observed last, and which blocks it reused
  std::vector<bool> reused_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo foresight_cache_policy() {
  return {.name = "foresight",
          .summary = "Foresight: reuses each block while it moves less than in the warm-up",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(ForesightParams()),
          .presets = {{"n1r2", "one step reused, every second computed", "{}"},
                      {"n2r3", "two steps reused, every third computed",
                       R"({"reuse_steps": 2, "refresh_interval": 3})"},
                      {"open-sora", "the authors' example for Open-Sora: gamma 1, 8 of 30 steps",
                       R"({"threshold": 1, "warmup_steps": "27%"})"}},
          .tunable = R"({"threshold": [0.25, 0.5, 1, 2], "refresh_interval": [2, 3]})",
          .resolve = resolve_policy_params<ForesightParams>,
          .make = make_policy<ForesightPolicy, ForesightParams>};
}

}  // namespace bw
