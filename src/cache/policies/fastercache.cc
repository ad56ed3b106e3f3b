// FasterCache (arXiv 2410.19355): from some step on self-attention is computed every second step
// and extrapolated in between, and most steps run the conditional branch alone, the unconditional
// prediction being made from it and the kept difference of both.
//
//   attention  reused at step k  iff  k >= attention_start and
//              (k − attention_start) mod attention_interval != attention_interval − 1
//              F = F_a + w(k) (F_a − F_b), F_a and F_b the last two computed outputs;
//              w(k) = attention_weight · (k − attention_start + 1) / (T − attention_start), or
//              attention_weight throughout
//   guidance   the unconditional branch is left out at step k  iff  k >= cfg_start and
//              (k + 1) mod cfg_interval != 0; ε_u = ε_c + l Δ_low + h Δ_high, Δ = ε_u − ε_c of the
//              last step that ran both, split by spatial frequency (cfg_delta.h)
//   weights    l is raised by `low` at steps below low_until, h by `high` from high_from on;
//              growth=compound multiplies them at every step left out since both branches ran, as
//              the released scripts do, growth=constant is the paper's 1 + α
// Published code: the scripts count calls from 1 and name steps of their own runs; here they are
// shares of the steps, which give the scripts' own at their number of steps. Nothing is measured.
// Differs in one thing: where both branches run again after the unconditional one was left out,
// attention is computed. The scripts reuse it there and take the conditional branch's outputs for
// both; each branch's own are of different steps, and their difference is what guidance multiplies.
#include <array>
#include <cstdint>
#include <string>

#include "cache/amounts.h"
#include "cache/policies/attention_stages.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::array<std::string_view, 2> kRises = {"linear", "constant"};
constexpr std::array<std::string_view, 2> kGrowths = {"compound", "constant"};

// The defaults are Open-Sora's.
struct FastercacheParams final : Params {
  bool attention = true;
  std::string attention_start = "23%";
  std::int64_t attention_interval = 2;
  double attention_weight = 1.035;
  std::string attention_rise = "linear";
  bool cfg = true;
  std::string cfg_start = "37%";
  std::int64_t cfg_interval = 5;
  double low = 1.15;
  std::string low_until = "83%";
  double high = 1.15;
  std::string high_from = "63%";
  std::string growth = "compound";

  void visit(ParamVisitor& v) override {
    v.flag({"attention", "reuse self-attention"}, attention);
    v.text({"attention_start", "step from which on it is reused"}, attention_start, kStepCountForm);
    v.integer({"attention_interval", "compute it every n-th step"}, attention_interval, {.low = 2});
    v.number({"attention_weight", "how far it is extrapolated; 0 holds it"}, attention_weight,
             {.low = 0});
    v.choice({"attention_rise", "linear: the weight grows up to the last step; constant: it stays"},
             attention_rise, kRises);
    v.flag({"cfg", "leave the unconditional branch out"}, cfg);
    v.text({"cfg_start", "step from which on it is left out"}, cfg_start, kStepCountForm);
    v.integer({"cfg_interval", "run it every n-th step"}, cfg_interval, {.low = 2});
    v.number({"low", "factor of the branches' difference in low frequencies"}, low, {.low = 0});
    v.text({"low_until", "step from which on that factor is 1"}, low_until, kStepCountForm);
    v.number({"high", "factor of the difference in high frequencies"}, high, {.low = 0});
    v.text({"high_from", "step up to which that factor is 1"}, high_from, kStepCountForm);
    v.choice({"growth", "compound: the factors apply anew at every step left out; constant: once"},
             growth, kGrowths);
  }
  void check(const Origin& origin) const override {
    check_step_count(attention_start, origin.at("attention_start"));
    check_step_count(cfg_start, origin.at("cfg_start"));
    check_step_count(low_until, origin.at("low_until"));
    check_step_count(high_from, origin.at("high_from"));
    if (!attention && !cfg) {
      reject(origin.at("cfg"), "with attention=false too nothing would be reused; set one of both");
    }
  }
};

class FastercachePolicy final : public CachePolicy {
 public:
  FastercachePolicy(const FastercacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params), num_steps_(shape.num_steps), is_compound_(params.growth == "compound") {
    const auto steps = [&](const std::string& text, const char* name) {
      return step_count(text, num_steps_, origin.at(name));
    };
    attention_start_ = steps(params.attention_start, "attention_start");
    cfg_start_ = steps(params.cfg_start, "cfg_start");
    low_until_ = steps(params.low_until, "low_until");
    high_from_ = steps(params.high_from, "high_from");
    needs_.rebuild = Rebuild::weighted(/*residual=*/false);
    if (params.cfg) needs_.sites.push_back(Site::kCfg);
    if (!params.attention) return;
    needs_.sites.push_back(Site::kStage);
    stages_ = ChosenStages::of(shape, is_self_attention);
    needs_.reusable_stages = stages_.refs;
    if (stages_.empty()) {
      reject(origin.at("attention"),
             "the model has no stage of self-attention to reuse; its blocks must be exported with "
             "stages named like self_attention (docs/exporting-a-family.md), or set "
             "attention=false to leave out unconditional predictions alone");
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (reuses_attention(context)) {
      const BranchPlan reused = {.reuse = Site::kStage,
                                 .stages = stages_.flags[context.expert],
                                 .weight = attention_weight(context.step)};
      plan.branches = {reused, reused};
    }
    if (skips_uncond(context)) {
      plan.branches[index_of(Branch::kUncond)] = {.reuse = Site::kCfg, .cfg = cfg_weights(context)};
    }
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const BranchObservation& uncond = observation.branches[index_of(Branch::kUncond)];
    if (!uncond.ran) return;
    made_at_ = uncond.done.reuse == Site::kCfg ? context.step : -1;
    made_with_ = made_at_ < 0 ? CfgWeights{} : uncond.done.cfg;
  }

 private:
  bool reuses_attention(const EvaluationContext& context) const {
    const std::int64_t interval = params_.attention_interval;
    const bool runs_both_again =
        params_.cfg && context.guided && context.step > cfg_start_ && !skips_uncond(context);
    return params_.attention && context.step >= attention_start_ && !runs_both_again &&
           (context.step - attention_start_) % interval != interval - 1;
  }

  double attention_weight(std::int64_t step) const {
    if (params_.attention_rise == "constant") return params_.attention_weight;
    return params_.attention_weight * static_cast<double>(step - attention_start_ + 1) /
           static_cast<double>(num_steps_ - attention_start_);
  }

  bool skips_uncond(const EvaluationContext& context) const {
    return params_.cfg && context.guided && context.step >= cfg_start_ &&
           (context.step + 1) % params_.cfg_interval != 0;
  }

  CfgWeights cfg_weights(const EvaluationContext& context) const {
    if (context.step == made_at_) return made_with_;  // the second part of a step
    CfgWeights weights = is_compound_ ? made_with_ : CfgWeights{};
    if (context.step < low_until_) weights.low *= params_.low;
    if (context.step >= high_from_) weights.high *= params_.high;
    return weights;
  }

  FastercacheParams params_;
  std::int64_t num_steps_;
  bool is_compound_;
  std::int64_t attention_start_ = 0;
  std::int64_t cfg_start_ = 0;
  std::int64_t low_until_ = 0;
  std::int64_t high_from_ = 0;
  ChosenStages stages_;
  // Of the last unconditional prediction: the step at which it was made from the conditional one,
  // or -1 when it was computed, and the weights of that.
  std::int64_t made_at_ = -1;
  CfgWeights made_with_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo fastercache_cache_policy() {
  return {
      .name = "fastercache",
      .summary = "FasterCache: extrapolates self-attention, leaves out unconditional predictions",
      .provenance = Provenance::kPublishedCode,
      .params = describe_params(FastercacheParams()),
      .presets = {{"open-sora", "Open-Sora 1.2, 30 steps", "{}"},
                  {"latte", "Latte, 50 steps",
                   R"({"attention_start": "30%", "attention_weight": 0.5,
                  "attention_rise": "constant", "cfg_start": "34%", "low": 1.1, "low_until": "88%",
                  "high": 1.1, "high_from": "88%"})"},
                  {"cogvideox", "CogVideoX, 50 steps",
                   R"({"attention_start": "36%", "attention_interval": 3, "attention_weight": 0.3,
                  "attention_rise": "constant", "cfg_start": "34%", "low": 1.1, "low_until": "80%",
                  "high": 1.1, "high_from": "58%"})"},
                  {"paper", "the paper's equations: weight up to 1, alpha 0.2, guidance from T/3",
                   R"({"attention_weight": 1, "cfg_start": "33%", "low": 1.2, "low_until": "50%",
                  "high": 1.2, "high_from": "50%", "growth": "constant"})"},
                  {"cfg-cache", "CFG-Cache alone: leaves out unconditional predictions",
                   R"({"attention": false})"}},
      .tunable = R"({"attention": [true, false], "cfg_interval": [2, 3, 5]})",
      .resolve = resolve_policy_params<FastercacheParams>,
      .make = make_policy<FastercachePolicy, FastercacheParams>};
}

}  // namespace bw
