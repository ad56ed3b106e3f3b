#include "cache/memory_plan.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace bw {
namespace {

// Compared with later, whether or not a guard forbids reuse there.
bool is_measured(Slot slot) {
  return slot == Slot::kSignal || slot == Slot::kProbe || slot == Slot::kLatents ||
         slot == Slot::kLatentsComputed || slot == Slot::kPrediction;
}

}  // namespace

Lifetimes::Lifetimes(const CacheGuards& guards, const CacheLayout& layout)
    : guards_(guards), layout_(layout) {}

bool Lifetimes::readable_after(const CacheKey& key, std::int64_t index) const {
  const std::vector<EvaluationContext>& evaluations = layout_.evaluations;
  for (auto next = evaluations.begin() + index + 1; next != evaluations.end(); ++next) {
    if (next->expert != key.expert || next->part != key.part) continue;
    if (key.slot != Slot::kGuided && key.branch == Branch::kUncond && !next->guided) continue;
    if (is_measured(key.slot) || !static_guard(guards_, *next)) return true;
  }
  return false;
}

bool Lifetimes::dropped_after(const CacheKey& key, std::int64_t index) const {
  if (!readable_after(key, index)) return true;
  const bool guided = layout_.evaluations[static_cast<std::size_t>(index)].guided;
  if (key.slot != Slot::kGuided) return key.branch == Branch::kUncond && !guided;
  return layout_.evaluations[static_cast<std::size_t>(index) + 1].guided != guided;
}

std::size_t ring_depth(Slot slot, const CacheNeeds& needs) {
  if (slot == Slot::kProbe) return 2;
  return is_measured(slot) || slot == Slot::kCfg ? 1 : needs.rebuild.depth();
}

std::uint64_t sample_bytes(const CacheKey& key, const CacheNeeds& needs,
                           const CacheLayout& layout) {
  const ExpertLayout& expert = layout.experts[key.expert];
  switch (key.slot) {
    case Slot::kGuided:
    case Slot::kBranch:
    case Slot::kCfg:
    case Slot::kLatents:
    case Slot::kLatentsComputed:
    case Slot::kPrediction:
      return layout.prediction_bytes;
    case Slot::kStack:
    case Slot::kMiddle:
    case Slot::kBlock:
    case Slot::kProbe:
    case Slot::kStage:  // at most: a stage may leave streams alone
      return expert.hidden_bytes;
    case Slot::kSignal:
      if (needs.signal.content_spectrum > 0) return expert.filtered_bytes;
      return needs.signal.kind == SignalKind::kAttentionInput ? expert.probe_bytes
                                                              : expert.hidden_bytes;
  }
  BW_CHECK(false, "unknown slot");
}

std::vector<CacheKey> kept_keys(const CacheNeeds& needs, const EvaluationContext& context) {
  std::vector<CacheKey> keys;
  CacheKey key{.expert = context.expert, .part = context.part};
  const auto add = [&](Slot slot, std::size_t block = 0, std::size_t stage = 0) {
    key.slot = slot;
    key.block = block;
    key.stage = stage;
    keys.push_back(key);
  };
  if (needs.has(Site::kGuided)) add(Slot::kGuided);
  if (needs.latents && context.part == 0) {
    for (const Slot slot : {Slot::kLatents, Slot::kLatentsComputed, Slot::kPrediction}) add(slot);
  }
  for (const Branch branch : kBranches) {
    if (branch == Branch::kUncond && !context.guided) continue;
    key.branch = branch;
    if (needs.has(Site::kBranch)) add(Slot::kBranch);
    if (needs.has(Site::kCfg) && branch == Branch::kUncond) add(Slot::kCfg);
    if (needs.has(Site::kStack)) add(Slot::kStack);
    if (needs.has(Site::kMiddle)) add(Slot::kMiddle);
    if (needs.has(Site::kBlock)) {
      for (const std::size_t block : needs.reusable_blocks[context.expert]) {
        add(Slot::kBlock, block);
      }
    }
    if (needs.has(Site::kStage)) {
      for (const StageRef& ref : needs.reusable_stages[context.expert]) {
        add(Slot::kStage, ref.block, ref.stage);
      }
    }
    const bool is_probed = needs.signal.kind != SignalKind::kNone && context.part == 0 &&
                           needs.signal.branches[index_of(branch)];
    if (is_probed && needs.signal.early) add(Slot::kSignal, needs.middle.first);
    if (is_probed && needs.signal.progress) add(Slot::kProbe);
    if (is_probed && !needs.signal.early) {
      for (const std::size_t block : needs.signal.blocks[context.expert]) {
        add(Slot::kSignal, block);
      }
    }
  }
  return keys;
}

// A run that computes everything keeps the most, so that run is played through in bytes.
std::uint64_t declared_cache_bytes(const CacheNeeds& needs, const CacheGuards& guards,
                                   const CacheLayout& layout) {
  const Lifetimes lifetimes(guards, layout);
  std::map<CacheKey, std::size_t> samples;
  std::uint64_t bytes = 0;
  std::uint64_t most = 0;
  for (const EvaluationContext& context : layout.evaluations) {
    for (const CacheKey& key : kept_keys(needs, context)) {
      const std::size_t depth = ring_depth(key.slot, needs);
      if (!lifetimes.readable_after(key, context.index) || samples[key] == depth) continue;
      ++samples[key];
      bytes += sample_bytes(key, needs, layout);
    }
    most = std::max(most, bytes);
    std::erase_if(samples, [&](const auto& entry) {
      const auto& [key, count] = entry;
      if (!lifetimes.dropped_after(key, context.index)) return false;
      bytes -= count * sample_bytes(key, needs, layout);
      return true;
    });
  }
  return most;
}

}  // namespace bw
