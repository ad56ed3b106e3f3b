// Block Caching, "Cache Me if You Can" (arXiv 2312.03209): how much a block's own contribution
// changes from step to step hardly depends on the prompt. It is measured once; a block is held
// until its summed change exceeds the threshold.
//
//   table      l(n, k) = |C_{n,k} − C_{n,k−1}|₁ / |C_{n,k}|₁, C_n = output − input of block n; the
//              NEWER tensor is the denominator
//   schedule   per block, after a computed step: A ← A + l(n, k); A < threshold reuses, else the
//              block is computed and A = 0
//   payload    every block's residual C_n, added to the live input; with correction=scale_shift
//              a · C_n + b, a and b fitted by least squares to C_{n,k} ≈ a · C_{n,k−m} + b, per
//              block n, step k and lag m up to max_lag; a block held longer is held as it is
//   always     the first step is computed
// Published description; no code is public. The paper recomputes when the sum exceeds the
// threshold, here when it reaches it, so that 0 never reuses. The sum starts after the computed
// step, since the change at that step compares with the one before it. The paper's scale and shift
// are vectors over the channels, given by a linear layer on the timestep's embedding that is
// trained against the uncached model along the path of the cached one; here they are numbers,
// fitted along the path of uncached runs.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "cache/calibrated_table.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "changes";
constexpr std::string_view kCorrections = "corrections";
constexpr std::string_view kScaleShift = "scale_shift";
constexpr std::array<std::string_view, 2> kCorrectionNames = {"none", kScaleShift};

struct BlockcachingParams final : CalibratedParams {
  double threshold = 0.5;
  std::string correction = "none";
  std::int64_t max_lag = 4;
  std::string corrections;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "hold a block while its summed change is below this; 0: never"},
             threshold, {.low = 0});
    v.choice({"correction", "what is done to held contributions, as calibrating fitted it"},
             correction, kCorrectionNames);
    v.integer({"max_lag", "steps a block is held for at most that its correction is fitted to"},
              max_lag, {.low = 1, .high = 100});
    visit_table(v, {kTable, "rows EXPERT.BLOCK: the change at every step"});
    v.text({kCorrections,
            "rows EXPERT.BLOCK.LAG.scale and .shift: at every step, of what was computed LAG "
            "steps before"},
           corrections, kTableForm);
  }
  void check(const Origin& origin) const override {
    check_table(kTable, origin);
    (void)CalibratedTable::parse(corrections, origin.at(kCorrections));
  }
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
      for (auto& last : last_computed_) last.emplace_back(num_blocks, -1);
    }
    if (params.correction == kScaleShift) read_corrections(params, origin, shape);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const std::vector<bool>& mask = masks_[context.expert][static_cast<std::size_t>(context.step)];
    if (std::find(mask.begin(), mask.end(), true) == mask.end()) return plan;
    for (const Branch branch : kBranches) {
      plan.branches[index_of(branch)] = {.reuse = Site::kBlock,
                                         .blocks = mask,
                                         .corrections = corrections_at(context, branch, mask)};
    }
    return plan;
  }

  // A guard may have computed a block that was to be held.
  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    for (const Branch branch : kBranches) {
      const BranchObservation& seen = observation.branches[index_of(branch)];
      if (!seen.ran) continue;
      std::vector<std::int64_t>& last = last_computed_[index_of(branch)][context.expert];
      for (std::size_t block = 0; block < last.size(); ++block) {
        const bool is_held = seen.done.reuse == Site::kBlock && seen.done.blocks[block];
        if (!is_held) last[block] = context.step;
      }
    }
  }

 private:
  using Corrections = std::vector<std::vector<ScaleShift>>;  // [lag − 1][step]

  void read_corrections(const BlockcachingParams& params, const Origin& origin,
                        const RunShape& shape) {
    if (params.corrections.empty()) {
      reject(origin.at(kCorrections),
             "is empty: correction=scale_shift needs what is fitted on the model; make it with "
             "`bwcache-gen calibrate --cache blockcaching:correction=scale_shift --prompts FILE "
             "--save plan.json` and run with `--config plan.json`");
    }
    const Origin at = origin.at(kCorrections);
    const CalibratedTable table = CalibratedTable::parse(params.corrections, at);
    const auto steps = static_cast<std::size_t>(shape.num_steps);
    for (std::size_t expert = 0; expert < shape.blocks_per_expert.size(); ++expert) {
      std::vector<Corrections>& blocks = corrections_.emplace_back();
      for (std::size_t block = 0; block < shape.blocks_per_expert[expert]; ++block) {
        Corrections& lags = blocks.emplace_back();
        for (std::int64_t lag = 1; lag <= params.max_lag; ++lag) {
          const std::string row =
              std::to_string(expert) + "." + std::to_string(block) + "." + std::to_string(lag);
          const std::vector<double>& scales = table.row(row + ".scale", steps, at);
          const std::vector<double>& shifts = table.row(row + ".shift", steps, at);
          std::vector<ScaleShift>& fits = lags.emplace_back(steps);
          for (std::size_t step = 0; step < steps; ++step) {
            const bool is_known = std::isfinite(scales[step]) && std::isfinite(shifts[step]);
            if (is_known) fits[step] = {scales[step], shifts[step]};
          }
        }
      }
    }
  }

  // Empty without any; of a block that is computed it says nothing.
  std::vector<ScaleShift> corrections_at(const EvaluationContext& context, Branch branch,
                                         const std::vector<bool>& mask) const {
    if (corrections_.empty()) return {};
    const std::vector<Corrections>& blocks = corrections_[context.expert];
    std::vector<ScaleShift> corrections(blocks.size());
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      const std::int64_t lag =
          context.step - last_computed_[index_of(branch)][context.expert][block];
      // 0 in the second part of a step whose first a guard computed.
      if (!mask[block] || lag < 1 || lag > std::ssize(blocks[block])) continue;
      corrections[block] =
          blocks[block][static_cast<std::size_t>(lag - 1)][static_cast<std::size_t>(context.step)];
    }
    return corrections;
  }

  std::vector<std::vector<std::vector<bool>>> masks_;  // per expert, step and block
  std::vector<std::vector<Corrections>> corrections_;  // per expert and block; empty: none
  // Per branch, expert and block; −1: not yet.
  std::array<std::vector<std::vector<std::int64_t>>, kNumBranches> last_computed_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo blockcaching_cache_policy() {
  return {.name = "blockcaching",
          .summary = "Block Caching: holds each block until its measured change adds up",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(BlockcachingParams()),
          .presets = {{"scale-shift", "held contributions are scaled and shifted",
                       R"({"correction": "scale_shift"})"}},
          .tunable = R"({"threshold": [0.1, 0.2, 0.5, 1]})",
          .table = kTable,
          .resolve = resolve_policy_params<BlockcachingParams>,
          .make = make_policy<BlockcachingPolicy, BlockcachingParams>};
}

}  // namespace bw
