// Plays a policy without a controller: a script says what would have been measured at each step.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/policy_table.h"

namespace bw::testing {

// Distance of the conditional and the unconditional branch at a step.
struct Distances {
  double cond = 0;
  double uncond = 0;
  std::optional<double> progress = std::nullopt;  // of both
};
using Script = std::function<Distances(std::int64_t step)>;

inline constexpr double kFar = 1000;  // no threshold is above it

// The same distance for both branches: `far` before step k, `near` from it on.
inline Script falls_below_at(std::int64_t k, double near = 0.01) {
  return [k, near](std::int64_t step) {
    const double distance = step < k ? kFar : near;
    return Distances{distance, distance};
  };
}

inline std::unique_ptr<CachePolicy> make_policy_from(std::string_view name, const Json& params,
                                                     std::int64_t num_steps,
                                                     std::vector<std::size_t> blocks = {4}) {
  const Origin origin = Origin::flag("--cache");
  RunShape shape{num_steps, std::move(blocks)};
  for (const std::size_t num_blocks : shape.blocks_per_expert) {
    shape.stages.emplace_back(num_blocks, std::vector<std::string>{"attention", "feed_forward"});
  }
  return find_cache_policy(name, origin).make(params, origin, shape);
}

// The only evaluation of a step.
inline EvaluationContext guided_step(std::int64_t step, std::int64_t num_steps) {
  EvaluationContext context;
  context.index = context.step = step;
  context.num_steps = num_steps;
  context.guided = true;
  return context;
}

struct Played {
  std::string cond;  // c = computed, r = reused, per step
  std::string uncond;
  std::string measured;         // m or -, per step
  std::vector<double> weights;  // BranchPlan::weight of the conditional branch, per step
};

// One evaluation per step, every plan is followed, nothing is measured at step 0 or, unless early,
// where reused. An early policy is asked with the distance of the branch and those before it.
inline Played play(CachePolicy& policy, std::int64_t num_steps, const Script& script) {
  Played played;
  std::vector<std::int64_t> last_computed(kNumBranches, -1);
  for (std::int64_t step = 0; step < num_steps; ++step) {
    const EvaluationContext context = guided_step(step, num_steps);
    const EvaluationPlan plan = policy.begin(context);
    const Distances distances = script(step);
    Observation observation;
    EarlySignals known;
    for (const Branch branch : kBranches) {
      BranchObservation& seen = observation.branches[index_of(branch)];
      const SignalNeeds& signal = policy.needs().signal;
      const double distance = branch == Branch::kCond ? distances.cond : distances.uncond;
      seen.ran = true;
      seen.done = plan.branches[index_of(branch)];
      if (signal.early && signal.branches[index_of(branch)] && step > 0) {
        known[index_of(branch)] = {distance, distances.progress};
        seen.distances = {distance};
      }
      if (seen.done.ask) {
        const Verdict verdict = step > 0 ? policy.confirm(context, branch, known) : Verdict(false);
        seen.done.weight = verdict.weight;
        if (!verdict.reuse) seen.done = {};
      }
      seen.done.ask = false;
      const bool computed = seen.done.reuse == Site::kNone;
      if (branch == Branch::kCond) played.weights.push_back(seen.done.weight);
      (branch == Branch::kCond ? played.cond : played.uncond) += computed ? 'c' : 'r';
      if (!computed || signal.early) continue;
      std::int64_t& last = last_computed[index_of(branch)];
      if (plan.measure && last >= 0 && signal.branches[index_of(branch)]) {
        seen.distances = {distance};
        seen.gap = step - last;
      }
      last = step;
    }
    played.measured += plan.measure ? 'm' : '-';
    policy.observe(context, observation);
  }
  return played;
}

}  // namespace bw::testing
