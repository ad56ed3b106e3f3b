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
