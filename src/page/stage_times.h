// Where the seconds of a run went: its stages, and its steps.
#pragma once

#include <string>
#include <vector>

namespace bw {

struct StageTime {
  std::string name;
  double seconds = 0;
  bool is_part = false;  // of the stage above it
};

// Horizontal bars of class "bar" or "bar part", all in one scale.
[[nodiscard]] std::string stage_times_figure(const std::vector<StageTime>& stages);
// A bar per step, of class "bar computed" or "bar reused"; `reused` is as long as `seconds`, which
// is not empty.
[[nodiscard]] std::string step_times_figure(const std::vector<double>& seconds,
                                            const std::vector<bool>& reused);

}  // namespace bw
