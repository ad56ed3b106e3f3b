// Measures how far tensors moved, per branch. Distances are queued in a batch and read together, so
// that a device needs one copy to the host per evaluation however many blocks are probed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "bundle/denoiser.h"
#include "cache/cache_policy.h"
#include "cache/rebuild.h"
#include "kernels/relative_l1_batch.h"

namespace bw {

// Rows of a batch that give EarlySignal::progress: how far now and the newest sample lie from the
// one before, per stream.
struct ProgressRows {
  std::vector<std::size_t> now;
  std::vector<std::size_t> newest;
};

// samples: the two newest ones of what the first blocks added.
[[nodiscard]] ProgressRows queue_progress(const Hidden& now, std::span<const Sample> samples,
                                          RelativeL1Batch& batch);
[[nodiscard]] double progress(const ProgressRows& rows, const RelativeL1Batch& batch);

class DistanceQueue {
 public:
  explicit DistanceQueue(SignalMetric metric = SignalMetric::kRelativeL1) : metric_(metric) {}

  // By the metric, over all streams; the reference is the older tensor.
  void compare(const Hidden& now, const Sample& reference, std::int64_t step,
               RelativeL1Batch& batch);
  // Compares the frames of `now` [1,N,D], N = frames · tokens of a frame, with their neighbours;
  // does nothing for one frame.
  void compare_frames(const at::Tensor& now, std::int64_t frames, RelativeL1Batch& batch);
  // The angle between a block's output and its input.
  void align(const Hidden& output, const Hidden& input, RelativeL1Batch& batch);
  // A block that was not computed.
  void skip_align() { alignment_.emplace_back(); }
  // BranchObservation::alignment.
  [[nodiscard]] std::vector<double> alignment(const RelativeL1Batch& batch) const;
  // A block that was not computed, or has no computed predecessor.
  void skip();
  // One per compare() and skip(), NaN for the latter; empty when nothing was compared. `batch`:
  // that of every compare(), sent.
  [[nodiscard]] std::vector<double> distances(const RelativeL1Batch& batch) const;
  // BranchObservation::motion.
  [[nodiscard]] std::optional<double> motion(const RelativeL1Batch& batch) const;
  // The longest way back to a reference, in steps.
  [[nodiscard]] std::int64_t gap() const { return gap_; }

 private:
  SignalMetric metric_;
  std::vector<std::vector<std::size_t>> rows_;  // of the batch, one per stream; none for skip()
  std::vector<std::optional<std::size_t>> alignment_;  // rows: dot product over product of norms
  std::vector<std::pair<std::size_t, std::size_t>> motion_;  // rows: forward, and backward
  std::int64_t gap_ = 0;
};

}  // namespace bw
