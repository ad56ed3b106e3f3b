// Plays a policy that measures single blocks, without a controller: a script says what the
// conditional branch would have measured of each.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "cache/cache_policy.h"

namespace bw::testing {

// The distance of a block at a step; gap: steps since it was computed last.
using BlockScript = std::function<double(std::int64_t step, std::size_t block, std::int64_t gap)>;

struct PlayedBlocks {
  // c = everything is computed, s = the stack is reused, u = the unconditional branch is left out,
  // b = blocks are reused; per step.
  std::string levels;
  std::vector<std::string> blocks;  // per block: c or r per step, of the conditional branch
};

struct BlockRun {
  std::int64_t num_steps = 10;
  std::size_t num_blocks = 4;
  bool guided = true;
};

inline char level_letter(const EvaluationPlan& plan, bool guided) {
  if (guided && plan.branches[1].reuse == Site::kCfg) return 'u';
  const Site site = plan.branches[0].reuse;
  if (site == Site::kStack) return 's';
  return site == Site::kBlock ? 'b' : 'c';
}

// One evaluation per step at timesteps 1000, 1000 − 1000/T, …; every plan is followed.
inline PlayedBlocks play_blocks(CachePolicy& policy, const BlockRun& run,
                                const BlockScript& script) {
  PlayedBlocks played;
  played.blocks.resize(run.num_blocks);
  std::vector<std::int64_t> computed(run.num_blocks, -1);
  for (std::int64_t step = 0; step < run.num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = run.num_steps;
    context.guided = run.guided;
    context.timestep = 1000 - 1000 * static_cast<double>(step) / static_cast<double>(run.num_steps);
    const EvaluationPlan plan = policy.begin(context);
    Observation observation;
    BranchObservation& cond = observation.branches[0];
    cond = {.ran = true, .done = plan.branches[0], .distances = {}};
    observation.branches[1] = {.ran = run.guided, .done = plan.branches[1], .distances = {}};
    const Site site = cond.done.reuse;
    played.levels += level_letter(plan, run.guided);
    std::vector<double> distances;
    for (std::size_t block = 0; block < run.num_blocks; ++block) {
      const bool reused =
          site == Site::kStack || (site == Site::kBlock && cond.done.blocks.at(block));
      played.blocks[block] += reused ? 'r' : 'c';
      const bool compares = !reused && computed[block] >= 0;
      distances.push_back(compares ? script(step, block, step - computed[block])
                                   : std::numeric_limits<double>::quiet_NaN());
      if (!reused) computed[block] = step;
    }
    if (step > 0 && site != Site::kStack) cond.distances = distances;
    policy.observe(context, observation);
  }
  return played;
}

}  // namespace bw::testing
