// QuantCache (arXiv 2503.06545): per block, how long its residual is reused, whether it is skipped,
// and whether it is computed in int8, all from how much it changed when it was computed last.
//
//   signal     d_l = |r − r'|_1 / |r'|_1 of the residual r = output − input of block l, the OLDER
//              tensor the denominator, of the last step that COMPUTED it, j steps ago;
//              m = mean change of the residuals from frame to frame (1 with motion=false);
//              D_l = d_l / j · m                                       (HLC: eq. of the divergence
//              D)
//   schedule   the first codebook entry above D_l says after how many steps l is computed again
//   skipping   S_l = cos(output, input) at the last computed step: above `skip_above` the block is
//              left out, from `skip_from` on with the chance `skip_chance`; twice the chance while
//              the changes since step 0 of the expert, summed over the last computed steps, are
//              below `drift_low`, half above `drift_high` (SRAP)
//   precision  a block that is computed runs in int8 (weights per channel, activations per token as
//   they come)
//              while the mean of D over all blocks is below `int8_below`, if `int8_blocks` has it
//              (AIGQ)
//   payload    a residual per block
//   always     the first two steps, the first block, the last step; a skipped block is computed
//   again
//              after the longest rate of the codebook
// Reconstruction: no code is public. The paper's precisions are 4 to 8 bits, chosen per layer by an
// offline search; here two, and the blocks by hand. Its draws are random; here a hash of step and
// block, so that runs repeat. Small divergence means fewer bits, as the text says and not as its
// equation is printed. The conditional branch decides for both.
#include <algorithm>
#include <limits>
#include <numeric>

#include "cache/amounts.h"
#include "cache/policies/all_blocks.h"
#include "cache/policies/codebook.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::int64_t kFirstSteps = 2;  // two computed steps make the first change

struct QuantcacheParams final : Params {
  std::string codebook = "0.08:6;0.24:4;1:2";
  bool motion = true;
  double skip_above = 0.9999;
  double skip_from = 0.999;
  double skip_chance = 0.25;
  double drift_low = 0.1;
  double drift_high = 0.5;
  double int8_below = 0.24;
  std::string int8_blocks = "all";

  void visit(ParamVisitor& v) override {
    v.text({"codebook", "below this change compute a block every n-th step"}, codebook,
           kCodebookForm);
    v.flag({"motion", "compute sooner where the clip moves"}, motion);
    v.number({"skip_above", "skip a block whose output is as parallel to its input; 1: never"},
             skip_above, {.low = -1, .high = 1});
    v.number({"skip_from", "skip it by chance from here on"}, skip_from, {.low = -1, .high = 1});
    v.number({"skip_chance", "that chance"}, skip_chance, {.low = 0, .high = 1});
    v.number({"drift_low", "summed change of a block below which the chance doubles"}, drift_low,
             {.low = 0});
    v.number({"drift_high", "summed change above which it halves"}, drift_high, {.low = 0});
    v.number({"int8_below", "mean change below which blocks are computed in int8; 0: never"},
             int8_below, {.low = 0});
    v.text({"int8_blocks", "which blocks may be"}, int8_blocks, kBlockSetForm);
  }
  void check(const Origin& origin) const override {
    (void)parse_codebook(codebook, origin.at("codebook"));
    check_block_set(int8_blocks, origin.at("int8_blocks"));
    if (skip_from > skip_above) reject(origin.at("skip_from"), "must not be above skip_above");
    if (drift_low > drift_high) reject(origin.at("drift_low"), "must not be above drift_high");
  }
};

// 0 … 1, the same for the same step and block (splitmix64).
double draw(std::int64_t step, std::size_t block) {
  auto z = static_cast<std::uint64_t>(step) * 1000003U + block + 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return static_cast<double>((z ^ (z >> 31U)) >> 11U) * 0x1.0p-53;
}

// What is known of one block of the expert that runs.
struct BlockState {
  std::int64_t computed = -1;                                // step
  std::int64_t next = 0;                                     // step to compute or to skip
  double change = std::numeric_limits<double>::quiet_NaN();  // D
  double drift = 0;
  double alignment = std::numeric_limits<double>::quiet_NaN();
};

class QuantcachePolicy final : public CachePolicy {
 public:
  QuantcachePolicy(const QuantcacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        codebook_(parse_codebook(params.codebook, origin.at("codebook"))),
        longest_(std::ranges::max(codebook_, {}, &CodebookEntry::rate).rate),
        num_steps_(shape.num_steps) {
    needs_.sites = {Site::kBlock};
    needs_.rebuild = Rebuild::parse("residual", origin);
    needs_.signal.kind = SignalKind::kBlockResidual;
    needs_.signal.branches = {true, false};
    needs_.signal.motion = params.motion;
    needs_.signal.alignment = params.skip_from < 1;
    needs_.int8 = params.int8_below > 0;
    probe_and_reuse_all_blocks(needs_, shape);
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      std::vector<bool>& may = int8_blocks_.emplace_back(num_blocks, false);
      if (!needs_.int8) continue;
      for (const std::size_t block :
           block_set(params.int8_blocks, num_blocks, origin.at("int8_blocks"))) {
        may[block] = true;
      }
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const bool is_first = context.expert != expert_ || context.step < begin_ + kFirstSteps;
    if (is_first || context.step == num_steps_ - 1) return plan;
    BranchPlan branch = context.step == step_ ? done_ : decide(context);
    if (branch.reuse == Site::kNone) return plan;
    plan.branches.fill(branch);
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    const std::size_t num_blocks = needs_.reusable_blocks[context.expert].size();
    if (context.expert != expert_ || blocks_.empty()) {
      expert_ = context.expert;
      begin_ = context.step;
      blocks_.assign(num_blocks, BlockState());
    }
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    step_ = context.step;
    done_ = cond.done;
    for (std::size_t block = 0; block < num_blocks; ++block) {
      if (!leaves_out(cond.done, block)) learn(blocks_[block], block, context.step, cond);
    }
  }

 private:
  void learn(BlockState& state, std::size_t block, std::int64_t step,
             const BranchObservation& seen) const {
    if (block < seen.alignment.size()) state.alignment = seen.alignment[block];
    state.next = step + 1;
    if (block < seen.distances.size() && state.computed >= 0) {
      const double distance = seen.distances[block];
      const double motion = params_.motion ? seen.motion.value_or(1) : 1;
      state.change = distance / static_cast<double>(step - state.computed) * motion;
      state.drift += distance;
      state.next = step + rate_below(codebook_, state.change);
    }
    state.computed = step;
  }

  BranchPlan decide(const EvaluationContext& context) const {
    BranchPlan plan{.reuse = Site::kBlock};
    const std::size_t num_blocks = blocks_.size();
    const bool in_int8 = needs_.int8 && mean_change() < params_.int8_below;
    plan.blocks.assign(num_blocks, false);
    plan.skipped.assign(num_blocks, false);
    if (in_int8) plan.int8 = int8_blocks_[expert_];
    for (std::size_t block = 0; block < num_blocks; ++block) {
      const BlockState& state = blocks_[block];
      plan.blocks[block] = context.step < state.next;
      plan.skipped[block] = !plan.blocks[block] && is_skipped(context.step, block);
    }
    if (left_out_blocks(plan) == 0 && bw::int8_blocks(plan) == 0) return {};
    return plan;
  }

  // NaN is above nothing.
  bool is_skipped(std::int64_t step, std::size_t block) const {
    const BlockState& state = blocks_[block];
    if (block == 0 || step >= state.computed + longest_) return false;
    if (state.alignment > params_.skip_above) return true;
    if (!(state.alignment >= params_.skip_from)) return false;
    double chance = params_.skip_chance;
    if (state.drift < params_.drift_low) chance *= 2;
    if (state.drift > params_.drift_high) chance /= 2;
    return draw(step, block) < chance;
  }

  // NaN until every block has one.
  double mean_change() const {
    const double sum =
        std::accumulate(blocks_.begin(), blocks_.end(), 0.0,
                        [](double total, const BlockState& state) { return total + state.change; });
    return sum / static_cast<double>(blocks_.size());
  }

  QuantcacheParams params_;
  std::vector<CodebookEntry> codebook_;
  std::int64_t longest_;
  std::int64_t num_steps_;
  std::vector<std::vector<bool>> int8_blocks_;  // per expert
  std::size_t expert_ = 0;
  std::int64_t begin_ = 0;  // first step of the expert
  std::vector<BlockState> blocks_;
  std::int64_t step_ = -1;  // observed last, and what it did
  BranchPlan done_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo quantcache_cache_policy() {
  return {
      .name = "quantcache",
      .summary = "QuantCache: per block a time to live, skipping, and int8 where little changes",
      .provenance = Provenance::kReconstruction,
      .params = describe_params(QuantcacheParams()),
      .presets = {{"schedule", "the schedule alone", R"({"skip_above": 1, "skip_from": 1,
                  "int8_below": 0})"},
                  {"no-motion", "without the motion term", R"({"motion": false})"}},
      .tunable = R"({"codebook": ["0.08:6;0.24:4;1:2", "0.08:3;0.16:2;1:1", "0.04:4;0.12:2;1:1"],
                "int8_below": [0, 0.24]})",
      .uses_int8 = [](const Json& params) { return params.at("int8_below").get<double>() > 0; },
      .resolve = resolve_policy_params<QuantcacheParams>,
      .make = make_policy<QuantcachePolicy, QuantcacheParams>};
}

}  // namespace bw
