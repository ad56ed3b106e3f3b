// For policies that measure and may reuse every block.
#pragma once

#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "cache/policy_table.h"

namespace bw {

// Fills SignalNeeds::blocks and CacheNeeds::reusable_blocks.
inline void probe_and_reuse_all_blocks(CacheNeeds& needs, const RunShape& shape) {
  for (const std::size_t num_blocks : shape.blocks_per_expert) {
    std::vector<std::size_t> all(num_blocks);
    std::iota(all.begin(), all.end(), std::size_t{0});
    needs.signal.blocks.push_back(all);
    needs.reusable_blocks.push_back(std::move(all));
  }
}

}  // namespace bw
