// What measurements are summed up by.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

namespace bw {

// Of at least one value.
[[nodiscard]] inline double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of at least one value; the mean of the middle two when their number is even.
[[nodiscard]] inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace bw
