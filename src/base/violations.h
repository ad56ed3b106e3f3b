// How limits that do not hold are told.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bw {

// "2 limits do not hold" and a line for each, at least one; `what` in the singular.
[[nodiscard]] inline GateError violated(const std::string& what,
                                        const std::vector<std::string>& lines) {
  std::string text = std::to_string(lines.size()) + " " + what;
  text += lines.size() == 1 ? " does not hold" : "s do not hold";
  for (const std::string& line : lines) text += "\n  " + line;
  return GateError(text);
}

}  // namespace bw
