// AdaCache with motion regularisation (arXiv 2411.02397): at a computed step the change of one
// representative residual, per step since the last computed one, is looked up in a codebook that
// says after how many steps to compute again. Clips that move much are recomputed sooner.
//
//   signal     c = |p − p'|_1 / |p'|_1 / rate of a stage's residual p (after its gate) in one
//   block;
//              the OLDER tensor is the denominator, of the last COMPUTED step; divided by the rate
//              that was SCHEDULED then, as the released code does, not by the real gap
//   motion     m = (mean change of p from frame to frame / 0.385)^8, G = 10·(m − m')/rate,
//              c ← c·(m + |G|); inside a window of steps, else c stays
//   verdict    the first codebook entry above c gives the rate; otherwise the last entry's
//   payload    the stack's residual: as all blocks share the rate, it is what the published form,
//              two tensors per block, comes to
//   always     the first and the last two steps
// Published code. It probes temporal attention; here the first temporal attention of the block, or
// its first stage where there is none. The conditional branch decides for both.
#include <cmath>

#include "cache/amounts.h"
#include "cache/policies/codebook.h"
#include "cache/policies/policy_factory.h"
#include "cache/policies/residual_stage.h"

namespace bw {
namespace {

constexpr double kMotionScale = 0.385;
constexpr double kMotionPower = 8;
constexpr double kMotionGradient = 10;

struct AdacacheParams final : Params {
  std::string codebook = "0.08:6;0.16:5;0.24:4;0.32:3;0.40:2;1:1";
  std::string probe_block = "50%";
  bool motion = true;
  double motion_start = 0.13;
  double motion_end = 0.87;

  void visit(ParamVisitor& v) override {
    v.text({"codebook", "below this change compute every n-th step"}, codebook, kCodebookForm);
    v.text({"probe_block", "block whose residual is measured, counted from 1"}, probe_block,
           kBlockCountForm);
    v.flag({"motion", "compute sooner where the clip moves"}, motion);
    v.number({"motion_start", "share of the steps from which motion counts"}, motion_start,
             {.low = 0, .high = 1});
    v.number({"motion_end", "share of the steps up to which it counts"}, motion_end,
             {.low = 0, .high = 1});
  }
  void check(const Origin& origin) const override {
    (void)parse_codebook(codebook, origin.at("codebook"));
    check_block_count(probe_block, origin.at("probe_block"));
  }
};

class AdacachePolicy final : public CachePolicy {
 public:
  AdacachePolicy(const AdacacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        codebook_(parse_codebook(params.codebook, origin.at("codebook"))),
        num_steps_(shape.num_steps) {
    needs_.sites = {Site::kStack};
    needs_.rebuild = Rebuild::parse("residual", origin);
    needs_.signal.kind = SignalKind::kStageResidual;
    needs_.signal.branches = {true, false};
    needs_.signal.motion = params.motion;
    for (std::size_t expert = 0; expert < shape.blocks_per_expert.size(); ++expert) {
      const std::size_t block = block_count(params.probe_block, shape.blocks_per_expert[expert],
                                            origin.at("probe_block")) -
                                1;
      needs_.signal.blocks.push_back({block});
      needs_.signal.stages.push_back({residual_stage(shape.stages.at(expert).at(block))});
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const bool is_last = context.step >= num_steps_ - 2;
    if (is_last || context.expert != expert_ || context.step >= next_) return plan;
    if (context.step == last_) return plan;  // the second part of a computed step
    for (BranchPlan& branch : plan.branches) branch.reuse = Site::kStack;
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    if (cond.done.reuse != Site::kNone) return;
    if (context.expert != expert_) rate_ = 1;
    expert_ = context.expert;
    last_ = context.step;
    if (!cond.distances.empty()) {
      const double change = cond.distances.front() / static_cast<double>(rate_);
      const double factor = motion_factor(context, cond.motion);
      rate_ = rate_below(codebook_, change * factor);
    }
    if (cond.motion) motion_ = std::pow(*cond.motion / kMotionScale, kMotionPower);
    next_ = context.step + rate_;
  }

 private:
  // 1 outside the window, and where there is no motion to compare with.
  double motion_factor(const EvaluationContext& context, std::optional<double> motion) const {
    const double share = static_cast<double>(context.step) / static_cast<double>(num_steps_);
    const bool counts = params_.motion && motion && motion_ && share >= params_.motion_start &&
                        share <= params_.motion_end;
    if (!counts) return 1;
    const double now = std::pow(*motion / kMotionScale, kMotionPower);
    const double gradient = kMotionGradient * (now - *motion_) / static_cast<double>(rate_);
    return now + std::abs(gradient);
  }

  AdacacheParams params_;
  std::vector<CodebookEntry> codebook_;
  std::int64_t num_steps_;
  std::size_t expert_ = 0;
  std::int64_t rate_ = 1;
  std::int64_t last_ = -1;  // step that was computed
  std::int64_t next_ = 0;   // step to compute
  std::optional<double> motion_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo adacache_cache_policy() {
  return {.name = "adacache",
          .summary = "AdaCache: a codebook says after how many steps to compute again",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(AdacacheParams()),
          .presets = {{"fast", "Open-Sora, 30 steps, with motion regularisation", "{}"},
                      {"slow", "Open-Sora, 30 steps, with motion regularisation",
                       R"({"codebook": "0.08:3;0.16:2;1:1"})"},
                      {"fast-100", "Open-Sora, 100 steps",
                       R"({"codebook": "0.03:12;0.05:10;0.07:8;0.09:6;0.11:4;1:3",
                  "motion_start": 0.1, "motion_end": 0.9})"},
                      {"no-motion", "without motion regularisation", R"({"motion": false})"}},
          .tunable = R"({"codebook": ["0.08:6;0.16:5;0.24:4;0.32:3;0.40:2;1:1",
                "0.08:3;0.16:2;1:1", "0.16:3;0.32:2;1:1"], "motion": [true, false]})",
          .resolve = resolve_policy_params<AdacacheParams>,
          .make = make_policy<AdacachePolicy, AdacacheParams>};
}

}  // namespace bw
