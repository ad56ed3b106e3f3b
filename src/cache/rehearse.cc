#include "cache/rehearse.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace bw {
namespace {

void grow(FeatureLevels& levels, const SignalRecord::Changes& changes) {
  for (std::size_t branch = 0; branch < kNumBranches; ++branch) {
    BW_CHECK(changes[branch].empty() || changes[branch].size() == levels[branch].size());
    for (std::size_t block = 0; block < changes[branch].size(); ++block) {
      const double change = changes[branch][block];
      if (std::isfinite(change)) levels[branch][block] *= 1 + change;
    }
  }
}

// Of one evaluation.
struct RecordedLevels {
  FeatureLevels outputs;  // of the blocks, or of what they add when `adds`
  bool adds = false;
  FeatureLevels inputs;  // of attention
  FeatureLevels stages;  // what a block's attention adds
};

// One evaluation; hidden states are [B,1,1] f32, a row per branch of the lane.
class RecordedPass final : public Pass {
 public:
  RecordedPass(std::span<const BlockInfo> blocks, const RecordedLevels& levels,
               std::span<const Branch> lane)
      : blocks_(blocks), levels_(levels), lane_(lane) {}

  std::span<const BlockInfo> blocks() const override { return blocks_; }
  Hidden embed() override { return {rows(0)}; }
  Hidden run_block(std::size_t block, const Hidden& hidden) override {
    const at::Tensor value = level(levels_.outputs, block);
    return {levels_.adds ? hidden.front() + value : value};
  }
  Hidden run_block_int8(std::size_t block, const Hidden& hidden) override {
    return run_block(block, hidden);
  }
  at::Tensor probe(std::size_t block, const Hidden& /*hidden*/) override {
    return level(levels_.inputs, block);
  }
  StageResult run_stage(std::size_t block, std::size_t /*stage*/,
                        const Hidden& /*hidden*/) override {
    return {{level(levels_.stages, block)}, {rows(1)}};
  }
  // The first stage brings all of the block.
  Hidden add_stage(std::size_t block, std::size_t stage, const Hidden& hidden,
                   const StageResult& /*result*/) override {
    return stage == 0 ? run_block(block, hidden) : hidden;
  }
  Hidden gate(std::size_t /*block*/, std::size_t /*stage*/) override { return {rows(1)}; }
  at::Tensor head(const Hidden& /*hidden*/) override { return rows(1).reshape({-1, 1, 1, 1, 1}); }

 private:
  at::Tensor rows(double value) const {
    return at::full({static_cast<std::int64_t>(lane_.size()), 1, 1}, value, at::kFloat);
  }
  at::Tensor level(const FeatureLevels& levels, std::size_t block) const {
    at::Tensor tensor = rows(1);
    for (std::size_t i = 0; i < lane_.size(); ++i) {
      tensor.mutable_data_ptr<float>()[i] = static_cast<float>(levels[index_of(lane_[i])][block]);
    }
    return tensor;
  }

  std::span<const BlockInfo> blocks_;
  const RecordedLevels& levels_;
  std::span<const Branch> lane_;
};

}  // namespace

std::vector<FeatureLevels> feature_levels(const SignalRecord& record, SignalKind kind,
                                          const CacheLayout& layout) {
  std::vector<FeatureLevels> now;  // per expert, whose features have nothing to do with each other
  for (const ExpertLayout& expert : layout.experts) {
    const std::vector<double> ones(expert.blocks.size(), 1.0);
    now.push_back({ones, ones});
  }
  const auto found = record.evaluations.find(kind);
  std::vector<FeatureLevels> all;
  for (std::size_t i = 0; i < layout.evaluations.size(); ++i) {
    FeatureLevels& levels = now[layout.evaluations[i].expert];
    if (found != record.evaluations.end()) grow(levels, found->second.at(i));
    all.push_back(levels);
  }
  return all;
}

void SignalRecord::add(const CacheReport& uncached) {
  BW_CHECK(uncached.inert());
  const bool has_latents = std::any_of(
      uncached.evaluations.begin(), uncached.evaluations.end(),
      [](const EvaluationRecord& record) { return record.context.latents.has_value(); });
  if (has_latents) {
    latents.clear();
    for (const EvaluationRecord& record : uncached.evaluations) {
      latents.push_back(record.context.latents);
    }
  }
  if (uncached.signal.kind == SignalKind::kNone) return;
  std::vector<Changes>& changes = evaluations[uncached.signal.kind];
  changes.clear();
  for (const EvaluationRecord& evaluation : uncached.evaluations) {
    Changes& seen = changes.emplace_back();
    for (const BranchRecord& branch : evaluation.branches) {
      seen[index_of(branch.branch)] = branch.distances;
    }
  }
}

CacheReport rehearse(CacheSetup setup, const SignalRecord& record) {
  const c10::InferenceMode inference;
  const SignalKind kind = setup.policy->needs().signal.kind;
  BW_CHECK(kind == SignalKind::kNone || record.evaluations.contains(kind));
  BW_CHECK(!setup.policy->needs().latents || !record.latents.empty());
  const bool adds = kind == SignalKind::kBlockResidual;
  const auto of_kind = [&](SignalKind wanted) {
    return feature_levels(record, wanted, setup.layout);
  };
  const auto outputs = of_kind(adds ? kind : SignalKind::kBlockOutput);
  const auto inputs = of_kind(SignalKind::kAttentionInput);
  const auto stages = of_kind(SignalKind::kStageResidual);
  std::vector<RecordedLevels> levels;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    levels.push_back({outputs[i], adds, inputs[i], stages[i]});
  }
  const CacheLayout layout = setup.layout;
  CacheController cache(std::move(setup));
  const auto run = [&](const EvaluationContext& e, std::span<const Branch> lane) {
    const auto begin = [&] {
      const auto i = static_cast<std::size_t>(e.index);
      return std::make_unique<RecordedPass>(layout.experts[e.expert].blocks, levels[i], lane);
    };
    return lane.size() > 1 ? cache.run_batched(begin) : cache.run(lane.front(), begin);
  };
  for (const EvaluationContext& e : layout.evaluations) {
    at::Tensor combined;
    const auto i = static_cast<std::size_t>(e.index);
    const auto latents = i < record.latents.size() ? record.latents[i] : std::nullopt;
    if (cache.begin_recorded(e.index, latents).run_branches) {
      const std::span<const Branch> both(kBranches);
      if (cache.runs_batched()) {
        combined = run(e, both).narrow(0, 0, 1);
      } else {
        combined = run(e, both.first(1));
        if (e.guided) combined = run(e, both.last(1));
      }
    }
    (void)cache.guided(combined);
    cache.end();
  }
  return cache.report();
}

}  // namespace bw
