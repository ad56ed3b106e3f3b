#include "cache/signals.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {

void DistanceQueue::compare(const Hidden& now, const Sample& reference, std::int64_t step,
                            RelativeL1Batch& batch) {
  BW_CHECK(now.size() == reference.value.size());
  std::vector<std::size_t>& rows = rows_.emplace_back();
  for (std::size_t stream = 0; stream < now.size(); ++stream) {
    rows.push_back(batch.add(now[stream], reference.value[stream]));
  }
  gap_ = std::max(gap_, step - reference.step);
}

void DistanceQueue::compare_frames(const at::Tensor& now, std::int64_t frames,
                                   RelativeL1Batch& batch) {
  // Played through (rehearse.h), a hidden state has fewer tokens than frames.
  if (frames < 2 || now.size(1) % frames != 0) return;
  const at::Tensor by_frame = now.view({frames, now.size(1) / frames, now.size(2)});
  const at::Tensor later = by_frame.narrow(0, 1, frames - 1);
  const at::Tensor earlier = by_frame.narrow(0, 0, frames - 1);
  const std::size_t forward = batch.add(later, earlier);
  motion_.emplace_back(forward, batch.add(earlier, later));
}

std::optional<double> DistanceQueue::motion(const RelativeL1Batch& batch) const {
  if (motion_.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& [forward, backward] : motion_) {
    const RelativeL1Sums sums = batch.sums(forward);
    sum += sums.difference / (sums.reference + batch.sums(backward).reference);
  }
  return sum / static_cast<double>(motion_.size());
}

void DistanceQueue::skip() { rows_.emplace_back(); }

std::vector<double> DistanceQueue::distances(const RelativeL1Batch& batch) const {
  std::vector<double> result;
  if (gap_ == 0) return result;  // a reference is at least one step older
  for (const std::vector<std::size_t>& rows : rows_) {
    RelativeL1Sums sums;
    for (const std::size_t row : rows) sums += batch.sums(row);
    result.push_back(rows.empty() ? std::numeric_limits<double>::quiet_NaN() : sums.distance());
  }
  return result;
}

}  // namespace bw
