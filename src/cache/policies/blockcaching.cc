// Block Caching, "Cache Me if You Can" (arXiv 2312.03209): how much a block's own contribution
// changes from step to step hardly depends on the prompt. It is measured once; a block is held
// until its summed change exceeds the threshold.
//
//   table      l(n, k) = |C_{n,k} − C_{n,k−1}|₁ / |C_{n,k}|₁, C_n = output − input of block n; the
//              NEWER tensor is the denominator
//   schedule   per block, after a computed step: A ← A + l(n, k); A < threshold reuses, else the
//              block is computed and A = 0
//   payload    every block's residual C_n, added to the live input
//   always     the first step is computed
// Published description; no code is public. The paper recomputes when the sum exceeds the
// threshold, here when it reaches it, so that 0 never reuses. The sum starts after the computed
// step, since the change at that step compares with the one before it. The paper's trained scale
// and shift of held contributions are left out.
#include <algorithm>
#include <string>

#include "cache/calibrated_table.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "changes";

struct BlockcachingParams final : CalibratedParams {
  double threshold = 0.5;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "hold a block while its summed change is below this; 0: never"},
             threshold, {.low = 0});
    visit_table(v, {kTable, "rows EXPERT.BLOCK: the change at every step"});
  }
  void check(const Origin& origin) const override { check_table(kTable, origin); }
};

class BlockcachingPolicy final : public CachePolicy {
 public:
  BlockcachingPolicy(const BlockcachingParams& params, const Origin& origin,
                     const RunShape& shape) {
    const CalibratedTable table = params.load_table(kTable, "blockcaching", origin, shape.identity);
    const auto steps = static_cast<std::size_t>(shape.num_steps);
    needs_.sites = {Site::kBlock};
    needs_.rebuild = Rebuild::parse("residual", origin);
    for (std::size_t expert = 0; expert < shape.blocks_per_expert.size(); ++expert) {
      const std::size_t num_blocks = shape.blocks_per_expert[expert];
      std::vector<std::vector<bool>>& masks = masks_.emplace_back();
      masks.assign(steps, std::vector<bool>(num_blocks, false));
      std::vector<std::size_t>& reusable = needs_.reusable_blocks.emplace_back();
      for (std::size_t block = 0; block < num_blocks; ++block) {
        const std::string row = std::to_string(expert) + "." + std::to_string(block);
        const std::vector<double>& changes = table.row(row, steps, origin.at(kTable));
        bool any = false;
        double sum = 0;
        for (std::size_t step = 1; step < steps; ++step) {
          sum += changes[step];
          const bool is_held = sum < params.threshold;
          masks[step][block] = is_held;
          any = any || is_held;
          if (!is_held) sum = 0;
        }
        if (any) reusable.push_back(block);
      }
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const std::vector<bool>& mask = masks_[context.expert][static_cast<std::size_t>(context.step)];
    if (std::find(mask.begin(), mask.end(), true) == mask.end()) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kBlock, .blocks = mask};
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  std::vector<std::vector<std::vector<bool>>> masks_;  // per expert, step and block
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo blockcaching_cache_policy() {
  return {.name = "blockcaching",
          .summary = "Block Caching: holds each block until its measured change adds up",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(BlockcachingParams()),
          .presets = {},
          .tunable = R"({"threshold": [0.1, 0.2, 0.5, 1]})",
          .table = kTable,
          .resolve = resolve_policy_params<BlockcachingParams>,
          .make = make_policy<BlockcachingPolicy, BlockcachingParams>};
}

}  // namespace bw
