// T-GATE (arXiv 2404.02747): attention to the text settles early. Up to the gate self-attention is
// computed now and then; from the gate on attention to the text is frozen, and guidance is off, so
// that the conditional branch runs alone.
//
//   k < gate − 1   self-attention is reused  iff  k > warmup and k mod interval != 0
//   k = gate − 1   everything is computed
//   k >= gate      attention to the text is the mean of both branches' outputs at step gate − 1;
//                  the unconditional prediction is the conditional one; self-attention is computed
//   payload        the stages' outputs, held
// Published code, whose settings compute self-attention at every step behind the gate (fi_interval
// 1), the only way here. The released code keeps outputs before the last sum of the attention, as
// the stages do. A step that a guard computes behind the gate is what is frozen from then on. Not
// for models that attend to text and clip in one.
#include <cstdint>
#include <string>

#include "cache/amounts.h"
#include "cache/policies/attention_stages.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct TgateParams final : Params {
  std::string gate = "40%";
  std::int64_t interval = 5;
  std::int64_t warmup_steps = 2;

  void visit(ParamVisitor& v) override {
    v.text({"gate", "step from which on attention to the text is frozen and guidance off"}, gate,
           kStepCountForm);
    v.integer({"interval", "before it compute self-attention every n-th step; 1: always"}, interval,
              {.low = 1});
    v.integer({"warmup_steps", "step after which self-attention is reused"}, warmup_steps,
              {.low = 0});
  }
  void check(const Origin& origin) const override { check_step_count(gate, origin.at("gate")); }
};

class TgatePolicy final : public CachePolicy {
 public:
  TgatePolicy(const TgateParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        gate_(step_count(params.gate, shape.num_steps, origin.at("gate"))),
        text_(ChosenStages::of(shape, is_cross_attention)),
        self_(ChosenStages::of(shape, is_self_attention)) {
    if (text_.empty()) {
      reject(origin,
             "the model has no stage of attention to the text alone; its blocks must be exported "
             "with stages named like cross_attention (docs/exporting-a-family.md)");
    }
    needs_.sites = {Site::kStage, Site::kCfg};
    const ChosenStages reused = ChosenStages::of(shape, [this](std::string_view stage) {
      return is_cross_attention(stage) || (params_.interval > 1 && is_self_attention(stage));
    });
    needs_.reusable_stages = reused.refs;
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.step >= gate_) {
      plan.branches[index_of(Branch::kCond)] = {.reuse = Site::kStage,
                                                .stages = text_.flags[context.expert],
                                                .mean_of_branches = context.guided};
      plan.branches[index_of(Branch::kUncond)] = {.reuse = Site::kCfg,
                                                  .cfg = {.low = 0, .high = 0}};
      return plan;
    }
    const bool reuses_self = context.step > params_.warmup_steps && context.step < gate_ - 1 &&
                             context.step % params_.interval != 0;
    if (!reuses_self || self_.refs[context.expert].empty()) return plan;
    for (BranchPlan& branch : plan.branches) {
      branch = {.reuse = Site::kStage, .stages = self_.flags[context.expert]};
    }
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  TgateParams params_;
  std::int64_t gate_;
  ChosenStages text_;
  ChosenStages self_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo tgate_cache_policy() {
  return {.name = "tgate",
          .summary = "T-GATE: freezes attention to the text and drops guidance behind a gate",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(TgateParams()),
          .presets = {{"sd", "Stable Diffusion, 25 steps: gate 10, self-attention every 5th",
                       R"({"gate": "40%", "interval": 5})"},
                      {"pixart", "PixArt, 25 steps: gate 15, self-attention every 3rd",
                       R"({"gate": "60%", "interval": 3})"}},
          .tunable = R"({"gate": ["40%", "60%", "80%"], "interval": [1, 3, 5]})",
          .resolve = resolve_policy_params<TgateParams>,
          .make = make_policy<TgatePolicy, TgateParams>};
}

}  // namespace bw
