// When a kept tensor can still be read, and from that how many bytes a run keeps at most. Read
// cache_controller.cc, which stores and drops by the same rules.
#pragma once

#include <cstdint>

#include "cache/cache_controller.h"
#include "cache/history.h"

namespace bw {

class Lifetimes {
 public:
  // Keeps references to its arguments.
  Lifetimes(const CacheGuards& guards, const CacheLayout& layout);

  // Whether some evaluation after `index` may read the key.
  [[nodiscard]] bool readable_after(const CacheKey& key, std::int64_t index) const;
  // Whether the key is void once evaluation `index` is done: it cannot be read again, or it belongs
  // to a branch that the guidance interval left out, or it holds a guided prediction and guidance
  // is switched on or off next.
  [[nodiscard]] bool dropped_after(const CacheKey& key, std::int64_t index) const;

 private:
  const CacheGuards& guards_;
  const CacheLayout& layout_;
};

// Samples kept per key of the slot.
[[nodiscard]] std::size_t ring_depth(Slot slot, const CacheNeeds& needs);

// Bytes of one sample of the key.
[[nodiscard]] std::uint64_t sample_bytes(const CacheKey& key, const CacheNeeds& needs,
                                         const CacheLayout& layout);

// Everything that evaluation `context` keeps when it computes all: one key each.
[[nodiscard]] std::vector<CacheKey> kept_keys(const CacheNeeds& needs,
                                              const EvaluationContext& context);

}  // namespace bw
