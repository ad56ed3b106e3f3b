// An observer that keeps what it was told. Read run/progress.h for the interface.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "run/progress.h"

namespace bw::testing {

class QuietObserver final : public Observer {
 public:
  void note(const std::string& message) override { notes.push_back(message); }
  void step(std::int64_t done, std::int64_t /*total*/, std::string_view /*what*/) override {
    steps = done;
  }
  void frames(std::int64_t done, std::int64_t /*total*/) override { num_frames = done; }
  [[nodiscard]] bool stop_requested() const override { return steps >= stop_after; }

  std::vector<std::string> notes;
  std::int64_t steps = 0;
  std::int64_t num_frames = 0;
  std::int64_t stop_after = std::numeric_limits<std::int64_t>::max();
};

}  // namespace bw::testing
