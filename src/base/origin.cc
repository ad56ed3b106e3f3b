#include "base/origin.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace bw {

Origin Origin::at(std::string_view key) const {
  if (kind == Kind::kFlag) return {kind, name + ": " + std::string(key)};
  const bool is_index = !key.empty() && key.front() == '[';
  const bool at_root = name.empty() || name.ends_with(": ");
  return {kind, name + (is_index || at_root ? "" : ".") + std::string(key)};
}

void reject(const Origin& origin, const std::string& message) {
  std::string text = origin.name;
  if (!text.ends_with(": ")) text += ": ";  // the root of a file ends with it already
  text += message;
  if (origin.kind == Origin::Kind::kFlag) throw UsageError(text);
  throw InputError(text);
}

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string known_names_hint(std::string_view name, std::span<const std::string> candidates) {
  std::string hint;
  if (const std::string near = nearest(name, candidates); !near.empty()) {
    hint = "; did you mean '" + near + "'?";
  }
  hint += " (known: ";
  for (std::size_t i = 0; i < candidates.size(); ++i) hint += (i ? ", " : "") + candidates[i];
  return hint + ")";
}

}  // namespace bw
