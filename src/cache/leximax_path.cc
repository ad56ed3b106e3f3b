#include "cache/leximax_path.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace bw {
namespace {

struct Path {
  std::vector<double> errors;  // descending
  std::vector<std::size_t> steps;
};

Path extended(const Path& path, std::size_t step, double error) {
  Path longer = path;
  const auto at =
      std::upper_bound(longer.errors.begin(), longer.errors.end(), error, std::greater<>());
  longer.errors.insert(at, error);
  longer.steps.push_back(step);
  return longer;
}

bool is_better(const Path& a, const Path& b) {
  return a.errors != b.errors ? a.errors < b.errors : a.steps < b.steps;
}

}  // namespace

// To add the same error to two descending lists keeps their order, so the best path to a step with
// a number of computed steps extends the best ones to earlier steps.
std::vector<std::size_t> leximax_path(const std::vector<std::vector<double>>& errors,
                                      std::size_t num_steps, std::size_t count) {
  std::vector<std::optional<Path>> best(num_steps + 1);  // by the step reached
  best[0] = Path{};
  for (std::size_t edge = 0; edge < count; ++edge) {
    std::vector<std::optional<Path>> next(num_steps + 1);
    for (std::size_t from = 0; from < num_steps; ++from) {
      if (!best[from]) continue;
      for (std::size_t lag = 1; lag <= errors.size() && from + lag <= num_steps; ++lag) {
        const double error = errors[lag - 1][from];
        if (!std::isfinite(error)) continue;
        Path path = extended(*best[from], from, error);
        std::optional<Path>& known = next[from + lag];
        if (!known || is_better(path, *known)) known = std::move(path);
      }
    }
    best = std::move(next);
  }
  return best[num_steps] ? best[num_steps]->steps : std::vector<std::size_t>();
}

}  // namespace bw
