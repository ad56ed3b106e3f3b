// Which stage of a block stands for what attention adds to the hidden state.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace bw {

// The first attention over time, else the first stage, which is self-attention in every family.
[[nodiscard]] inline std::size_t residual_stage(const std::vector<std::string>& stages) {
  const auto temporal = std::find_if(stages.begin(), stages.end(), [](const std::string& name) {
    return name.find("temporal") != std::string::npos;
  });
  return temporal == stages.end() ? 0 : static_cast<std::size_t>(temporal - stages.begin());
}

}  // namespace bw
