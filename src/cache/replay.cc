#include "cache/replay.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace bw {
namespace {

class ReplayPolicy final : public CachePolicy {
 public:
  ReplayPolicy(CacheTrace trace, CacheNeeds needs)
      : trace_(std::move(trace)), needs_(std::move(needs)) {}

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    const CacheTrace::Step& step = trace_.evaluations[static_cast<std::size_t>(context.index)];
    return {step.guided_reused, step.guided_weight, step.branches, /*measure=*/false};
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  CacheTrace trace_;
  CacheNeeds needs_;
};

[[noreturn]] void reject_difference(const Origin& origin, const std::string& what,
                                    std::int64_t recorded, std::int64_t wanted) {
  reject(origin, what + " is " + std::to_string(recorded) + " in the trace, but " +
                     std::to_string(wanted) + " in this run; replay with the plan of the trace");
}

void check_step(const CacheTrace::Step& recorded, const EvaluationContext& wanted,
                const RunShape& shape, const Origin& origin) {
  const EvaluationContext& was = recorded.context;
  if (was.index != wanted.index) reject_difference(origin, "the index", was.index, wanted.index);
  if (was.step != wanted.step) reject_difference(origin, "the step", was.step, wanted.step);
  if (was.part != wanted.part) reject_difference(origin, "the part", was.part, wanted.part);
  if (was.guided != wanted.guided) {
    reject_difference(origin, "guidance (1: on)", was.guided ? 1 : 0, wanted.guided ? 1 : 0);
  }
  if (was.expert != wanted.expert) {
    reject_difference(origin, "the expert", static_cast<std::int64_t>(was.expert),
                      static_cast<std::int64_t>(wanted.expert));
  }
  const std::size_t num_blocks = shape.blocks_per_expert[wanted.expert];
  if (!recorded.guided_reused && recorded.num_blocks != num_blocks) {
    reject_difference(origin, "the number of blocks",
                      static_cast<std::int64_t>(recorded.num_blocks),
                      static_cast<std::int64_t>(num_blocks));
  }
}

// A decision the trace's own sites do not allow would be a bug to the controller; here it is input.
void check_sites(const CacheTrace::Step& step, const CacheNeeds& needs, const Origin& origin) {
  if (step.guided_reused && !needs.has(Site::kGuided)) {
    reject(origin, "reuses the guided prediction, which 'sites' does not list");
  }
  for (const BranchPlan& branch : step.branches) {
    if (!needs.has(branch.reuse)) {
      reject(origin, std::string("reuses at '") + site_name(branch.reuse) +
                         "', which 'sites' does not list");
    }
  }
}

// Both branches have the same stages, those of the expert's blocks.
void check_stages(const CacheTrace::Step& step, const RunShape& shape, const Origin& origin) {
  for (const BranchPlan& branch : step.branches) {
    for (std::size_t block = 0; block < branch.stages.size(); ++block) {
      const std::size_t recorded = branch.stages[block].size();
      const std::size_t wanted = shape.stages.at(step.context.expert).at(block).size();
      if (recorded == wanted) continue;
      reject_difference(origin, "the number of stages of block " + std::to_string(block),
                        static_cast<std::int64_t>(recorded), static_cast<std::int64_t>(wanted));
    }
  }
}

// How many blocks at either end run where the middle is reused; the same wherever it is.
MiddleBlocks middle_blocks(const CacheTrace& trace, const Origin& origin) {
  std::optional<MiddleBlocks> middle;
  for (std::size_t i = 0; i < trace.evaluations.size(); ++i) {
    for (const BranchPlan& branch : trace.evaluations[i].branches) {
      if (branch.reuse != Site::kMiddle) continue;
      const std::vector<bool>& blocks = branch.blocks;
      const MiddleBlocks here = {
          static_cast<std::size_t>(std::find(blocks.begin(), blocks.end(), true) - blocks.begin()),
          static_cast<std::size_t>(std::find(blocks.rbegin(), blocks.rend(), true) -
                                   blocks.rbegin())};
      if (middle && (middle->first != here.first || middle->last != here.last)) {
        reject(evaluation_origin(origin, i), "reuses another range of blocks than before");
      }
      middle = here;
    }
  }
  return middle.value_or(MiddleBlocks());
}

// The blocks that the trace ever reuses; the others need not be kept.
std::vector<std::vector<std::size_t>> reused_blocks(const CacheTrace& trace,
                                                    std::size_t num_experts) {
  std::vector<std::set<std::size_t>> reused(num_experts);
  for (const CacheTrace::Step& step : trace.evaluations) {
    for (const BranchPlan& branch : step.branches) {
      if (branch.reuse != Site::kBlock) continue;
      for (std::size_t block = 0; block < branch.blocks.size(); ++block) {
        if (branch.blocks[block]) reused[step.context.expert].insert(block);
      }
    }
  }
  std::vector<std::vector<std::size_t>> result;
  result.reserve(reused.size());
  for (const std::set<std::size_t>& blocks : reused)
    result.emplace_back(blocks.begin(), blocks.end());
  return result;
}

std::vector<std::vector<StageRef>> reused_stages(const CacheTrace& trace, std::size_t num_experts) {
  std::vector<std::set<StageRef>> reused(num_experts);
  for (const CacheTrace::Step& step : trace.evaluations) {
    for (const BranchPlan& branch : step.branches) {
      for (StageRef at; at.block < branch.stages.size(); ++at.block) {
        const std::vector<bool>& stages = branch.stages[at.block];
        for (at.stage = 0; at.stage < stages.size(); ++at.stage) {
          if (stages[at.stage]) reused[step.context.expert].insert(at);
        }
      }
    }
  }
  std::vector<std::vector<StageRef>> result;
  result.reserve(reused.size());
  for (const std::set<StageRef>& stages : reused) result.emplace_back(stages.begin(), stages.end());
  return result;
}

}  // namespace

std::unique_ptr<CachePolicy> make_replay(CacheTrace trace, const Origin& origin,
                                         const std::vector<EvaluationContext>& evaluations,
                                         const RunShape& shape) {
  if (trace.evaluations.size() != evaluations.size()) {
    reject_difference(origin, "the number of evaluations",
                      static_cast<std::int64_t>(trace.evaluations.size()),
                      static_cast<std::int64_t>(evaluations.size()));
  }
  CacheNeeds needs{.sites = trace.sites,
                   .rebuild = Rebuild::from_name(trace.rebuild, origin.at("rebuild")),
                   .signal = {},
                   .keeps_partial = trace.keeps_partial,
                   .int8 = uses_int8(trace)};
  if (needs.rebuild.keeps_every_step() && needs.sites != std::vector<Site>{Site::kGuided}) {
    reject(origin.at("rebuild"), "'" + trace.rebuild + "' is for the site 'guided' alone");
  }
  for (std::size_t i = 0; i < evaluations.size(); ++i) {
    const Origin at = evaluation_origin(origin, i);
    check_step(trace.evaluations[i], evaluations[i], shape, at);
    check_sites(trace.evaluations[i], needs, at);
    check_stages(trace.evaluations[i], shape, at);
  }
  needs.middle = middle_blocks(trace, origin);
  needs.reusable_blocks = reused_blocks(trace, shape.blocks_per_expert.size());
  needs.reusable_stages = reused_stages(trace, shape.blocks_per_expert.size());
  return std::make_unique<ReplayPolicy>(std::move(trace), std::move(needs));
}

}  // namespace bw
