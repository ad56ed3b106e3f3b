// Measures how far tensors moved, per branch. Distances are queued and read together, so that a
// device needs one copy to the host per step however many blocks are probed.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle/denoiser.h"
#include "cache/rebuild.h"
#include "kernels/relative_l1.h"

namespace bw {

class DistanceQueue {
 public:
  // Σ|now − reference| / Σ|reference| over all streams, fp32 accumulation; the reference is the
  // older tensor and the denominator. On the CPU the sums are formed at once.
  void compare(const Hidden& now, const Sample& reference, std::int64_t step);
  // A block that was not computed, or has no computed predecessor.
  void skip();
  // One per compare() and skip(), NaN for the latter; empty when nothing was compared.
  [[nodiscard]] std::vector<double> distances() const;
  // The longest way back to a reference, in steps.
  [[nodiscard]] std::int64_t gap() const { return gap_; }

 private:
  std::vector<RelativeL1Sums> sums_;
  std::int64_t gap_ = 0;
};

}  // namespace bw
