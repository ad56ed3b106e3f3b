// Δ-DiT (arXiv 2406.01125): of a contiguous range of blocks what they add, x_out − x_in, is kept
// and added to the live input at the steps between two computed ones: the rear blocks while the
// outline is drawn, the front blocks afterwards.
//
//   reuse at step k  iff  k mod interval != 0;  rear blocks for k < boundary, front ones from it on
//   payload          residuals; no signal is measured
// Published description; no code is public. The sum of the blocks' own residuals is the range's
// residual, so the blocks are kept one by one and each adds its own.
#include <algorithm>

#include "cache/amounts.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct DeltaDitParams final : Params {
  std::int64_t interval = 2;
  std::string blocks = "50%";
  std::string boundary = "50%";

  void visit(ParamVisitor& v) override {
    v.integer({"interval", "compute steps 0, n, 2n, …"}, interval, {.low = 2});
    v.text({"blocks", "length of the range that is reused"}, blocks, kBlockCountForm);
    v.text({"boundary", "step from which on the front blocks are reused, the rear ones before"},
           boundary, kStepCountForm);
  }
  void check(const Origin& origin) const override {
    check_block_count(blocks, origin.at("blocks"));
    check_step_count(boundary, origin.at("boundary"));
  }
};

class DeltaDitPolicy final : public CachePolicy {
 public:
  DeltaDitPolicy(const DeltaDitParams& params, const Origin& origin, const RunShape& shape)
      : interval_(params.interval),
        boundary_(step_count(params.boundary, shape.num_steps, origin.at("boundary"))) {
    needs_.sites = {Site::kBlock};
    needs_.rebuild = Rebuild::parse("residual", origin);
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      const std::size_t length = block_count(params.blocks, num_blocks, origin.at("blocks"));
      std::vector<bool> front(num_blocks, false);
      std::fill_n(front.begin(), length, true);
      const std::vector<bool> rear(front.rbegin(), front.rend());
      std::vector<std::size_t>& reusable = needs_.reusable_blocks.emplace_back();
      for (std::size_t block = 0; block < num_blocks; ++block) {
        if (front[block] || rear[block]) reusable.push_back(block);
      }
      front_.push_back(front);
      rear_.push_back(rear);
    }
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (context.step % interval_ == 0) return plan;
    const auto& range = context.step < boundary_ ? rear_ : front_;
    for (BranchPlan& branch : plan.branches) {
      branch = {.reuse = Site::kBlock, .blocks = range[context.expert]};
    }
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  std::int64_t interval_;
  std::int64_t boundary_;
  std::vector<std::vector<bool>> front_;  // per expert
  std::vector<std::vector<bool>> rear_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo delta_dit_cache_policy() {
  return {.name = "delta-dit",
          .summary = "Δ-DiT: adds what the rear blocks, later the front blocks, added before",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(DeltaDitParams()),
          .presets = {{"interval-3", "computes every third step", R"({"interval": 3})"}},
          .tunable = R"({"interval": [2, 3], "blocks": ["25%", "50%", "75%"],
                "boundary": ["25%", "50%", "75%"]})",
          .resolve = resolve_policy_params<DeltaDitParams>,
          .make = make_policy<DeltaDitPolicy, DeltaDitParams>};
}

}  // namespace bw
