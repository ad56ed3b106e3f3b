// The part of the pass runner that measures where the middle blocks begin.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/stopwatch.h"
#include "cache/cache_controller.h"
#include "cache/hidden_rows.h"
#include "cache/pass_runner.h"
#include "cache/wiener_filter.h"

namespace bw {

Hidden PassRunner::early_tensors(Pass& pass, const Hidden& stack_input, const Hidden& hidden) {
  const SignalNeeds& signal = parts_.needs.signal;
  const bool wanted = std::any_of(lane_.begin(), lane_.end(),
                                  [&](Branch branch) { return signal.branches[index_of(branch)]; });
  if (!measure_ || !signal.early || !wanted) return {};
  double& seconds = parts_.clocks.indicator_seconds;
  if (signal.kind == SignalKind::kAttentionInput) {
    return {timed(seconds, [&] {
      at::Tensor input = pass.probe(parts_.needs.middle.first, hidden);
      if (!(signal.content_spectrum > 0)) return input;
      return wiener_filtered(input, parts_.expert.grid,
                             {.sigma = context_.sigma, .spectrum = signal.content_spectrum});
    })};
  }
  if (signal.kind == SignalKind::kBlockOutput) return hidden;
  return timed(seconds, [&] { return difference(hidden, stack_input); });
}

void PassRunner::compare_early(const Hidden& now) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    const CacheKey signal = key(Slot::kSignal, lane_[i], {parts_.needs.middle.first, 0});
    const std::span<const Sample> before = parts_.history.find(signal);
    if (before.empty()) continue;
    queues_[i].compare(rows_of(now, i, lane_.size()), before.front(), context_.step, early_batch_);
  }
  early_batch_.send();
  parts_.clocks.indicator_seconds += watch.seconds();
}

EarlySignal PassRunner::early_signal(std::size_t i) const {
  EarlySignal signal;
  const std::vector<double> distances = queues_[i].distances(early_batch_);
  if (!distances.empty()) signal.distance = distances.front();
  if (progress_[i]) signal.progress = progress(*progress_[i], early_batch_);
  return signal;
}

void PassRunner::compare_progress(const Hidden& added) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    const std::span<const Sample> before = parts_.history.find(key(Slot::kProbe, lane_[i]));
    if (before.size() < 2) continue;
    progress_[i] = queue_progress(rows_of(added, i, lane_.size()), before, early_batch_);
  }
  parts_.clocks.indicator_seconds += watch.seconds();
}

void PassRunner::keep_progress(const Hidden& added) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    keep_signal(key(Slot::kProbe, lane_[i]), rows_of(added, i, lane_.size()));
  }
  parts_.clocks.indicator_seconds += watch.seconds();
}

void PassRunner::keep_early(const Hidden& now) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    const CacheKey signal = key(Slot::kSignal, lane_[i], {parts_.needs.middle.first, 0});
    keep_signal(signal, rows_of(now, i, lane_.size()));
  }
  parts_.clocks.indicator_seconds += watch.seconds();
}

}  // namespace bw
