// PAB, pyramid attention broadcast (arXiv 2408.12588): in a window of noise levels each kind of
// attention is computed every r-th step and its output used at the steps between, the longer the
// slower it changes: spatial, temporal, cross.
//
//   reuse at step k  iff  window_low < t_k < window_high  and  k mod range != 0
//   payload          the stage's output, held; no signal is measured
// Published code (VideoSys); `t` is the timestep, 0 … 1000, and the phase is that of all steps, not
// of the window. Differs in one thing: the released code keeps outputs after their gate, here they
// are kept before it, so that the gate of the current step applies. Its lists of steps at which
// feed-forwards are held belong to one model and one number of steps; `feed_forward` holds them by
// a range instead, and is off.
//
// A stage belongs to the kind that its name tells: *cross_attention, *temporal*attention, any other
// *attention, feed_forward.
#include <algorithm>
#include <string>

#include "cache/policies/attention_stages.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct PabParams final : Params {
  double window_low = 100;
  double window_high = 850;
  std::int64_t spatial = 2;
  std::int64_t temporal = 4;
  std::int64_t cross = 6;
  std::int64_t feed_forward = 0;

  void visit(ParamVisitor& v) override {
    v.number({"window_low", "timestep (0 … 1000) down to which reuse is allowed"}, window_low,
             {.low = 0, .high = 1000});
    v.number({"window_high", "timestep from which on reuse is allowed"}, window_high,
             {.low = 0, .high = 1000});
    v.integer({"spatial", "compute attention every n-th step; 0 and 1: always"}, spatial,
              {.low = 0});
    v.integer({"temporal", "the same for attention over time"}, temporal, {.low = 0});
    v.integer({"cross", "the same for attention to the text"}, cross, {.low = 0});
    v.integer({"feed_forward", "the same for feed-forwards"}, feed_forward, {.low = 0});
  }
  void check(const Origin& origin) const override {
    if (window_low < window_high) return;
    reject(origin.at("window_low"), "must be below window_high (" + Json(window_high).dump() +
                                        "), got " + Json(window_low).dump());
  }

  // The range of a stage with this name; 0 when it is none of the kinds.
  [[nodiscard]] std::int64_t range(const std::string& stage) const {
    if (is_cross_attention(stage)) return cross;
    if (is_self_attention(stage)) {
      return stage.find("temporal") != std::string::npos ? temporal : spatial;
    }
    return stage == "feed_forward" ? feed_forward : 0;
  }
};

class PabPolicy final : public CachePolicy {
 public:
  PabPolicy(const PabParams& params, const Origin& origin, const RunShape& shape)
      : params_(params) {
    needs_.sites = {Site::kStage};
    for (const auto& blocks : shape.stages) {
      std::vector<StageRef>& reusable = needs_.reusable_stages.emplace_back();
      std::vector<std::vector<std::int64_t>>& ranges = ranges_.emplace_back();
      for (StageRef at; at.block < blocks.size(); ++at.block) {
        ranges.emplace_back();
        for (at.stage = 0; at.stage < blocks[at.block].size(); ++at.stage) {
          const std::int64_t range = params.range(blocks[at.block][at.stage]);
          ranges.back().push_back(range);
          if (range > 1) reusable.push_back(at);
        }
      }
    }
    const bool any = std::any_of(needs_.reusable_stages.begin(), needs_.reusable_stages.end(),
                                 [](const auto& stages) { return !stages.empty(); });
    if (!any) {
      reject(origin,
             "the model has no stage that these ranges would reuse; its blocks must be "
             "exported with stages named like self_attention or cross_attention "
             "(docs/exporting-a-family.md)");
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.timestep <= params_.window_low || context.timestep >= params_.window_high) {
      return plan;
    }
    const std::vector<std::vector<std::int64_t>>& ranges = ranges_[context.expert];
    std::vector<std::vector<bool>> reused;
    bool any = false;
    for (const std::vector<std::int64_t>& block : ranges) {
      std::vector<bool>& flags = reused.emplace_back();
      for (const std::int64_t range : block) {
        flags.push_back(range > 1 && context.step % range != 0);
        any = any || flags.back();
      }
    }
    if (!any) return plan;
    for (BranchPlan& branch : plan.branches) {
      branch = {.reuse = Site::kStage, .stages = reused};
    }
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  PabParams params_;
  std::vector<std::vector<std::vector<std::int64_t>>> ranges_;  // per expert, block and stage
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo pab_cache_policy() {
  return {.name = "pab",
          .summary = "PAB: holds attention outputs in a window, the slower the longer",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(PabParams()),
          .presets = {{"cogvideox", "CogVideoX: attention every 2nd step, 100 to 850",
                       R"({"cross": 0, "temporal": 0})"},
                      {"latte", "Latte: 2 / 3 / 6, 100 to 800",
                       R"({"window_high": 800, "temporal": 3})"},
                      {"open-sora", "Open-Sora: 2 / 4 / 6, 450 to 930",
                       R"({"window_low": 450, "window_high": 930})"}},
          .tunable = R"({"window_high": [850, 930, 1000], "spatial": [2, 3], "cross": [2, 4, 6]})",
          .resolve = resolve_policy_params<PabParams>,
          .make = make_policy<PabPolicy, PabParams>};
}

}  // namespace bw
