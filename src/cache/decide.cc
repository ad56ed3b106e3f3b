#include "cache/decide.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace bw {
namespace {

constexpr const char* kPolicy = "policy";
constexpr const char* kNoAnchor = "no anchor";

bool takes_part(Branch branch, const EvaluationContext& context) {
  return branch == Branch::kCond || context.guided;
}

class Decider {
 public:
  Decider(const Overrules& overrules, const EvaluationContext& context)
      : overrules_(overrules), context_(context) {}

  // The guard that forbids reuse to this branch, or an empty text.
  std::string guard(Branch branch) const {
    if (const auto name = static_guard(overrules_.guards, context_)) return std::string(*name);
    const ReuseRun& run = overrules_.runs[index_of(branch)];
    return run.allows(context_.step) ? "" : "max_consecutive";
  }

  bool has_anchor(Slot slot, Branch branch, StageRef at = {}) const {
    const CacheKey key{slot, context_.expert, context_.part, branch, at.block, at.stage};
    return !overrules_.history.find(key).empty();
  }

  BranchDecision decide_branch(Branch branch, const BranchPlan& plan) const {
    BW_CHECK(plan.reuse != Site::kGuided && overrules_.needs.has(plan.reuse));
    if (plan.reuse == Site::kNone) return {{}, kPolicy};
    if (std::string name = guard(branch); !name.empty()) return {{}, std::move(name)};
    if (plan.reuse == Site::kBlock) return decide_blocks(branch, plan);
    if (plan.reuse == Site::kStage) return decide_stages(branch, plan);
    if (plan.reuse == Site::kMiddle) return decide_middle(branch, plan);
    BW_CHECK(plan.reuse != Site::kCfg || branch == Branch::kUncond);
    const Slot slot = plan.reuse == Site::kBranch ? Slot::kBranch
                      : plan.reuse == Site::kCfg  ? Slot::kCfg
                                                  : Slot::kStack;
    if (!has_anchor(slot, branch)) return {{}, kNoAnchor};
    return {{.reuse = plan.reuse, .weight = plan.weight, .cfg = plan.cfg}, kPolicy};
  }

  // Why the guided prediction cannot be reused, or an empty text.
  std::string guided_refusal() const {
    for (const Branch branch : kBranches) {
      if (!takes_part(branch, context_)) continue;
      if (std::string name = guard(branch); !name.empty()) return name;
    }
    return has_anchor(Slot::kGuided, Branch::kCond) ? "" : kNoAnchor;
  }

 private:
  BranchDecision decide_middle(Branch branch, const BranchPlan& plan) const {
    if (!has_anchor(Slot::kMiddle, branch)) return {{}, kNoAnchor};
    const std::size_t num_blocks = overrules_.layout.experts[context_.expert].blocks.size();
    const MiddleBlocks& middle = overrules_.needs.middle;
    BW_CHECK(middle.first + middle.last < num_blocks);
    BranchDecision decision{plan, kPolicy};
    decision.plan.blocks.assign(num_blocks, true);
    std::fill_n(decision.plan.blocks.begin(), middle.first, false);
    std::fill_n(decision.plan.blocks.rbegin(), middle.last, false);
    return decision;
  }

  BranchDecision decide_blocks(Branch branch, const BranchPlan& plan) const {
    const std::size_t num_blocks = overrules_.layout.experts[context_.expert].blocks.size();
    const std::vector<std::size_t>& reusable = overrules_.needs.reusable_blocks[context_.expert];
    BW_CHECK(plan.blocks.size() == num_blocks);
    BW_CHECK(plan.corrections.empty() || plan.corrections.size() == num_blocks);
    BranchDecision decision{plan, kPolicy};
    for (std::size_t block = 0; block < num_blocks; ++block) {
      if (!plan.blocks[block]) continue;
      BW_CHECK(std::binary_search(reusable.begin(), reusable.end(), block));
      if (has_anchor(Slot::kBlock, branch, {block, 0})) continue;
      decision.plan.blocks[block] = false;
      decision.reason = kNoAnchor;
    }
    BW_CHECK(plan.int8.empty() || overrules_.needs.int8);
    const BranchPlan& left = decision.plan;
    const auto any = [](const std::vector<bool>& flags) {
      return std::find(flags.begin(), flags.end(), true) != flags.end();
    };
    if (!any(left.blocks) && !any(left.skipped) && !any(left.int8)) decision.plan = {};
    return decision;
  }

  BranchDecision decide_stages(Branch branch, const BranchPlan& plan) const {
    const std::vector<BlockInfo>& blocks = overrules_.layout.experts[context_.expert].blocks;
    const std::vector<StageRef>& reusable = overrules_.needs.reusable_stages[context_.expert];
    BW_CHECK(plan.stages.size() == blocks.size());
    BranchDecision decision{plan, kPolicy};
    bool any = false;
    for (StageRef at; at.block < blocks.size(); ++at.block) {
      std::vector<bool>& stages = decision.plan.stages[at.block];
      BW_CHECK(stages.size() == blocks[at.block].stages.size());
      for (at.stage = 0; at.stage < stages.size(); ++at.stage) {
        if (!stages[at.stage]) continue;
        BW_CHECK(std::binary_search(reusable.begin(), reusable.end(), at));
        if (has_anchor(Slot::kStage, branch, at)) {
          any = true;
          continue;
        }
        stages[at.stage] = false;
        decision.reason = kNoAnchor;
      }
    }
    if (!any) decision.plan = {};
    return decision;
  }

  const Overrules& overrules_;
  const EvaluationContext& context_;
};

}  // namespace

StepDecision decide(const Overrules& overrules, const EvaluationContext& context,
                    const EvaluationPlan& plan) {
  const Decider decider(overrules, context);
  StepDecision decision;
  decision.measure = plan.measure;
  std::string refusal;
  if (overrules.needs.has(Site::kGuided)) decision.guided_reason = kPolicy;
  if (plan.reuse_guided) {
    BW_CHECK(overrules.needs.has(Site::kGuided));
    refusal = decider.guided_refusal();
    decision.reuses_guided = refusal.empty();
    decision.guided_weight = plan.guided_weight;
    if (decision.reuses_guided) return decision;
    decision.guided_reason = refusal;
  }
  for (const Branch branch : kBranches) {
    if (!takes_part(branch, context)) continue;
    BranchDecision& done = decision.branches[index_of(branch)];
    done = decider.decide_branch(branch, plan.branches[index_of(branch)]);
    if (!refusal.empty() && done.plan.reuse == Site::kNone) done.reason = refusal;
  }
  if (!overrules.layout.batched || !context.guided) return decision;
  BranchDecision& cond = decision.branches[index_of(Branch::kCond)];
  BranchDecision& uncond = decision.branches[index_of(Branch::kUncond)];
  if (cond.plan == uncond.plan || uncond.plan.reuse == Site::kCfg) return decision;
  for (BranchDecision* branch : {&cond, &uncond}) {
    if (branch->plan.reuse != Site::kNone) *branch = {{}, "batched"};
  }
  return decision;
}

}  // namespace bw
