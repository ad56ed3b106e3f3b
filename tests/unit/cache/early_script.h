// Plays a policy that decides inside the pass, without a controller: a script says what the
// conditional branch would have shown at each step.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cache/cache_policy.h"

namespace bw::testing {

struct PlayedEarly {
  std::string letters;          // c = computed, r = reused, per step
  std::vector<double> weights;  // of the reused steps
};

// One evaluation per entry; every verdict is followed. Step 0 has no predecessor: its entry is not
// shown. Both branches must be told the same.
inline PlayedEarly play_early(CachePolicy& policy, const std::vector<EarlySignal>& cond,
                              const std::vector<std::size_t>& experts = {}) {
  PlayedEarly played;
  for (std::size_t step = 0; step < cond.size(); ++step) {
    EvaluationContext context;
    context.index = context.step = static_cast<std::int64_t>(step);
    context.num_steps = static_cast<std::int64_t>(cond.size());
    context.guided = true;
    context.expert = experts.empty() ? 0 : experts[step];
    EarlySignals signals;
    if (step > 0) signals[0] = cond[step];
    Observation observation;
    const EvaluationPlan plan = policy.begin(context);
    for (const Branch branch : kBranches) {
      BranchObservation& seen = observation.branches[index_of(branch)];
      seen.ran = true;
      seen.done = plan.branches[index_of(branch)];
      if (seen.done.ask) {
        const Verdict verdict = policy.confirm(context, branch, signals);
        if (verdict.reuse) {
          seen.done.weight = verdict.weight;
        } else {
          seen.done = {};
        }
      }
      seen.done.ask = false;
    }
    EXPECT_EQ(observation.branches[0].done, observation.branches[1].done) << "step " << step;
    const BranchPlan& done = observation.branches[0].done;
    if (signals[0].distance) observation.branches[0].distances = {*signals[0].distance};
    const bool reused = done.reuse == Site::kMiddle;
    played.letters += reused ? 'r' : 'c';
    if (reused) played.weights.push_back(done.weight);
    policy.observe(context, observation);
  }
  return played;
}

// The same change at every step, no progress.
inline std::vector<EarlySignal> constant_change(std::size_t num_steps, double change) {
  return std::vector<EarlySignal>(num_steps, EarlySignal{.distance = change});
}

}  // namespace bw::testing
