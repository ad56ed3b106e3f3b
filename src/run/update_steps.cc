#include "run/update_steps.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {

// best[m][j]: greatest sum over the steps before j when j is the m-th update, counted from 0:
//   best[0][0] = 0;  best[m][j] = max over i < j of best[m−1][i] + served(i, j)
std::vector<std::size_t> update_steps(const std::vector<std::vector<double>>& similarity,
                                      std::size_t count) {
  const std::size_t steps = similarity.size();
  BW_CHECK(count >= 1 && count <= steps);
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  // served[i][j]: steps i+1 … j−1 take the output of i.
  std::vector<std::vector<double>> served(steps, std::vector<double>(steps + 1, 0.0));
  for (std::size_t i = 0; i < steps; ++i) {
    for (std::size_t j = i + 2; j <= steps; ++j) {
      served[i][j] = served[i][j - 1] + similarity[i][j - 1];
    }
  }
  std::vector<std::vector<double>> best(count, std::vector<double>(steps, kNone));
  std::vector<std::vector<std::size_t>> from(count, std::vector<std::size_t>(steps, 0));
  best[0][0] = 0;
  for (std::size_t m = 1; m < count; ++m) {
    for (std::size_t j = m; j < steps; ++j) {
      for (std::size_t i = m - 1; i < j; ++i) {
        const double sum = best[m - 1][i] + served[i][j];
        if (sum <= best[m][j]) continue;
        best[m][j] = sum;
        from[m][j] = i;
      }
    }
  }
  std::size_t last = count - 1;
  for (std::size_t j = count - 1; j < steps; ++j) {
    if (best[count - 1][j] + served[j][steps] > best[count - 1][last] + served[last][steps])
      last = j;
  }
  std::vector<std::size_t> updates(count);
  for (std::size_t m = count; m-- > 0; last = from[m][last]) updates[m] = last;
  return updates;
}

}  // namespace bw
