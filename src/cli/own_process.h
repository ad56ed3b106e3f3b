// Runs this program again with other arguments, where a command needs a process of its own: what is
// measured of a process (its memory) must not hold what ran before.
#pragma once

#include <string>
#include <vector>

namespace bw {

struct ProcessResult {
  int exit_code = 0;   // as a shell gives it: 128 + the signal that ended the process
  std::string output;  // its stdout; its stderr is this one's
};

// Throws ResourceError when it cannot be started.
[[nodiscard]] ProcessResult run_own_process(const std::vector<std::string>& arguments);

}  // namespace bw
