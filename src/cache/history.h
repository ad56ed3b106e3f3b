// The tensors that outlive an evaluation: a ring of samples per key. Tensors are held, not copied,
// since whoever hands them out never changes them in place. Read memory_plan.h for what may be
// held.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "cache/evaluation_context.h"
#include "cache/rebuild.h"

namespace bw {

enum class Slot : std::uint8_t {
  kGuided,
  kBranch,
  kCfg,  // unconditional − conditional prediction; its branch is the unconditional one
  kStack,
  kMiddle,
  kBlock,
  kStage,
  kSignal,
  kProbe,            // what the first blocks add (SignalNeeds::progress)
  kLatents,          // of the last step
  kLatentsComputed,  // of the last computed step
  kPrediction,       // of the conditional branch there
};

// Explicit in everything that must not be mixed. kGuided has no branch; only kBlock, kStage and
// kSignal have a block (an early signal the first of the middle), only kStage a stage; what is not
// used stays at its default.
struct CacheKey {
  Slot slot = Slot::kStack;
  std::size_t expert = 0;
  int part = 0;
  Branch branch = Branch::kCond;
  std::size_t block = 0;
  std::size_t stage = 0;
  auto operator<=>(const CacheKey&) const = default;
};

class History {
 public:
  // Newest first; empty when nothing is kept.
  [[nodiscard]] std::span<const Sample> find(const CacheKey& key) const;
  // Drops samples until fewer than `depth` remain. Called before a new sample is made, so that old
  // and new never add up to more than was declared. Returns what was dropped last, in whose memory
  // the new sample may be written; empty if nothing was.
  Hidden make_room(const CacheKey& key, std::size_t depth);
  // Steps ascend.
  void push(const CacheKey& key, Sample sample);
  void drop_if(const std::function<bool(const CacheKey&)>& is_dropped);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t peak_bytes() const { return peak_bytes_; }

 private:
  std::map<CacheKey, std::vector<Sample>> rings_;
  std::uint64_t bytes_ = 0;
  std::uint64_t peak_bytes_ = 0;
};

}  // namespace bw
