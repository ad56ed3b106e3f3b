// The part of the controller that concerns both branches: the unconditional prediction made from
// the conditional one, and the guided prediction.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "base/stopwatch.h"
#include "cache/cache_controller_impl.h"
#include "cache/cfg_delta.h"
#include "cache/shadow.h"

namespace bw {

at::Tensor CacheController::Impl::plain(const BeginPass& begin_pass) {
  const Stopwatch watch;
  at::Tensor prediction = plain_prediction(*begin_pass());
  clocks.shadow_seconds += watch.seconds();
  return prediction;
}

at::Tensor CacheController::Impl::from_conditional(const BeginPass& begin_pass) {
  BW_CHECK(conditional.defined(), "the conditional branch comes first");
  const Stopwatch watch;
  const BranchPlan& plan = decision.branches[index_of(Branch::kUncond)].plan;
  const at::Tensor delta = history.find(cfg_key()).front().value.front();
  at::Tensor prediction = uncond_from_cond(conditional, delta, plan.cfg);
  observation.branches[index_of(Branch::kUncond)] = {true, plan, {}, 0, std::nullopt};
  clocks.rebuild_seconds += watch.seconds();
  if (setup.shadow) {
    errors[index_of(Branch::kUncond)] = {relative_error({prediction}, {plain(begin_pass)})};
  }
  return prediction;
}

// Only of predictions that a pass has made.
void CacheController::Impl::keep_cfg_delta(const at::Tensor& uncond) {
  const auto is_held = [&](Branch branch) {
    return observation.branches[index_of(branch)].done.reuse == Site::kBranch;
  };
  const CacheKey key = cfg_key();
  if (is_held(Branch::kCond) || is_held(Branch::kUncond)) return;
  if (!lifetimes.readable_after(key, index)) return;
  const Stopwatch watch;
  history.make_room(key, 1);
  history.push(key, {context().step, {uncond - conditional}});
  clocks.rebuild_seconds += watch.seconds();
}

double CacheController::Impl::next_sigma() const {
  const std::vector<EvaluationContext>& evaluations = setup.layout.evaluations;
  const auto next = std::find_if(evaluations.begin() + index + 1, evaluations.end(),
                                 [&](const auto& other) { return other.part == current.part; });
  return next == evaluations.end() ? current.sigma : next->sigma;
}

at::Tensor CacheController::Impl::guided(const at::Tensor& combined) {
  BW_CHECK(is_open && combined.defined() == decision.run_branches);
  distances.send();  // read in end(), when the scheduler's step has been handed over too
  if (!needs.has(Site::kGuided)) return combined;
  const Stopwatch watch;
  const Rebuild rule = needs.rebuild.without_input();
  const CacheKey key{.slot = Slot::kGuided, .expert = context().expert, .part = context().part};
  at::Tensor prediction = combined;
  const auto is_computed = [&](Branch branch) {
    return !takes_part(branch) || needs.keeps(observation.branches[index_of(branch)].done.reuse);
  };
  bool is_sample = rule.keeps_every_step();
  if (decision.reuses_guided) {
    const RebuildAt at{context().step, context().num_steps, decision.guided_weight, context().sigma,
                       next_sigma()};
    prediction = rule.value(history.find(key), at, {latents}).front();
    if (shadows_guided()) guided_error = relative_error({prediction}, {combined});
  } else {
    is_sample = std::all_of(kBranches.begin(), kBranches.end(), is_computed);
  }
  if (is_sample && lifetimes.readable_after(key, index)) {
    history.make_room(key, rule.depth());
    history.push(key, {context().step, rule.keep({latents}, {prediction}), context().sigma});
  }
  clocks.rebuild_seconds += watch.seconds();
  return prediction;
}

}  // namespace bw
