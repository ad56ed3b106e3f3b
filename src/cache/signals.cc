#include "cache/signals.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {

void DistanceQueue::compare(const Hidden& now, const Sample& reference, std::int64_t step) {
  BW_CHECK(now.size() == reference.value.size());
  RelativeL1Sums sums;
  for (std::size_t stream = 0; stream < now.size(); ++stream) {
    sums += relative_l1_sums(now[stream], reference.value[stream]);
  }
  sums_.push_back(sums);
  gap_ = std::max(gap_, step - reference.step);
}

void DistanceQueue::skip() {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  sums_.push_back({kUnknown, kUnknown});
}

std::vector<double> DistanceQueue::distances() const {
  std::vector<double> result;
  if (gap_ == 0) return result;  // a reference is at least one step older
  for (const RelativeL1Sums& sums : sums_) result.push_back(sums.distance());
  return result;
}

}  // namespace bw
