// Which stages of a model's blocks are attention to the clip itself, over space or time, and which
// to the text, told by their names; and models without stages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cache/policy_table.h"

namespace bw {

[[nodiscard]] inline bool is_cross_attention(std::string_view stage) {
  return stage.ends_with("cross_attention");
}
[[nodiscard]] inline bool is_self_attention(std::string_view stage) {
  return stage.ends_with("attention") && !is_cross_attention(stage);
}

// Stages per expert, as a plan flags them and as CacheNeeds lists them.
struct ChosenStages {
  std::vector<std::vector<std::vector<bool>>> flags;
  std::vector<std::vector<StageRef>> refs;

  // The stages whose name `is_chosen` accepts.
  template <typename IsChosen>
  [[nodiscard]] static ChosenStages of(const RunShape& shape, const IsChosen& is_chosen) {
    ChosenStages chosen;
    for (const auto& blocks : shape.stages) {
      std::vector<std::vector<bool>>& flags = chosen.flags.emplace_back();
      std::vector<StageRef>& refs = chosen.refs.emplace_back();
      for (StageRef at; at.block < blocks.size(); ++at.block) {
        flags.emplace_back();
        for (at.stage = 0; at.stage < blocks[at.block].size(); ++at.stage) {
          flags.back().push_back(is_chosen(blocks[at.block][at.stage]));
          if (flags.back().back()) refs.push_back(at);
        }
      }
    }
    return chosen;
  }

  [[nodiscard]] bool empty() const {
    return std::ranges::all_of(refs, [](const auto& stages) { return stages.empty(); });
  }
};

// For policies that reuse any stage, on a model that has none.
[[noreturn]] inline void reject_without_stages(const Origin& origin) {
  reject(origin,
         "the model has no stage that could be reused; its blocks must be exported with stages "
         "(docs/exporting-a-family.md)");
}

}  // namespace bw
