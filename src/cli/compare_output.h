// What `compare` prints: a table, or JSON. Read compare.cc for the command.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "quality/clip_set.h"
#include "quality/gate.h"

namespace bw {

// Lines for a terminal: of one clip its frames, of several also which clip is worst.
[[nodiscard]] std::string comparison_table(std::span<const ClipResult> clips, bool is_set);

// Numbers JSON cannot hold (an infinite ratio) are null.
[[nodiscard]] Json to_json(const MetricResult& result);
[[nodiscard]] Json to_json(const SetResult& result);

}  // namespace bw
