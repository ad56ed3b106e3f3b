// What the files of the pass runner share: rows of a lane, differences, clocks.
#pragma once

#include <cstddef>

#include "base/stopwatch.h"
#include "bundle/denoiser.h"

namespace bw {

// Adds the time a piece of work takes to a clock.
template <typename Work>
auto timed(double& seconds, const Work& work) {
  const Stopwatch watch;
  auto result = work();
  seconds += watch.seconds();
  return result;
}

// The rows of one branch; the whole when the lane has only one.
[[nodiscard]] Hidden rows_of(const Hidden& hidden, std::size_t branch, std::size_t num_branches);

// In the dtype of `like`.
[[nodiscard]] Hidden as_type_of(const Hidden& like, Hidden hidden);

// a − b, per stream.
[[nodiscard]] Hidden difference(const Hidden& a, const Hidden& b);

}  // namespace bw
