#include "cache/amounts.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

namespace bw {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// "10%" -> 0.1; absent when it is no percentage in (0, 100].
std::optional<double> percentage(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_valid = error == std::errc() && end == text.data() + text.size() &&
                        std::isfinite(value) && value > 0 && value <= 100;
  if (!is_valid) return std::nullopt;
  return value / 100;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t plus = text.find('+');
    parts.push_back(text.substr(0, plus));
    if (plus == std::string_view::npos) return parts;
    text.remove_prefix(plus + 1);
  }
}

[[noreturn]] void reject_form(std::string_view text, std::string_view form, const Origin& origin) {
  reject(origin, "must be " + std::string(form) + ", got '" + std::string(text) + "'");
}

std::optional<std::vector<std::size_t>> block_list(std::string_view text) {
  std::vector<std::size_t> blocks;
  for (const std::string_view part : split(text)) {
    const std::optional<std::int64_t> block = whole_number(part);
    if (!block) return std::nullopt;
    blocks.push_back(static_cast<std::size_t>(*block));
  }
  return blocks;
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

void check_step_count(std::string_view text, const Origin& origin) {
  const std::optional<std::int64_t> count = whole_number(text);
  if ((!count || *count < 1) && !percentage(text)) reject_form(text, kStepCountForm, origin);
}

std::int64_t step_count(std::string_view text, std::int64_t num_steps, const Origin& origin) {
  check_step_count(text, origin);
  if (const std::optional<std::int64_t> count = whole_number(text)) return *count;
  const double steps = std::round(*percentage(text) * static_cast<double>(num_steps));
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

void check_block_set(std::string_view text, const Origin& origin) {
  if (text != "all" && !percentage(text) && !block_list(text)) {
    reject_form(text, kBlockSetForm, origin);
  }
}

std::vector<std::size_t> block_set(std::string_view text, std::size_t num_blocks,
                                   const Origin& origin) {
  check_block_set(text, origin);
  std::vector<std::size_t> blocks;
  if (std::optional<std::vector<std::size_t>> list = block_list(text)) {
    blocks = std::move(*list);
    sort_unique(blocks);
    if (blocks.back() >= num_blocks) {
      reject(origin, "block " + std::to_string(blocks.back()) + " does not exist; the model has " +
                         std::to_string(num_blocks) + " blocks, counted from 0");
    }
    return blocks;
  }
  const double share = text == "all" ? 1.0 : *percentage(text);
  const auto rounded =
      static_cast<std::size_t>(std::llround(share * static_cast<double>(num_blocks)));
  const std::size_t count = std::max<std::size_t>(1, rounded);
  // The middles of `count` equal stretches of the stack.
  for (std::size_t i = 0; i < count; ++i) blocks.push_back((2 * i + 1) * num_blocks / (2 * count));
  return blocks;
}

void check_block_count(std::string_view text, const Origin& origin) {
  const std::optional<std::int64_t> count = whole_number(text);
  if ((!count || *count < 1) && !percentage(text)) reject_form(text, kBlockCountForm, origin);
}

std::size_t block_count(std::string_view text, std::size_t num_blocks, const Origin& origin) {
  check_block_count(text, origin);
  if (const std::optional<std::int64_t> count = whole_number(text)) {
    if (static_cast<std::size_t>(*count) <= num_blocks) return static_cast<std::size_t>(*count);
    reject(origin, "must be at most the model's " + std::to_string(num_blocks) + " blocks, got " +
                       std::string(text));
  }
  const long long rounded = std::llround(*percentage(text) * static_cast<double>(num_blocks));
  return static_cast<std::size_t>(std::max(1LL, rounded));
}

std::vector<std::string> stage_names(std::string_view text, const Origin& origin) {
  if (text == "all") return {};
  std::vector<std::string> names;
  for (const std::string_view part : split(text)) {
    const bool is_new = std::find(names.begin(), names.end(), part) == names.end();
    if (part.empty() || !is_new) reject_form(text, kStageSetForm, origin);
    names.emplace_back(part);
  }
  return names;
}

std::vector<std::int64_t> step_list(std::string_view text, const Origin& origin) {
  std::vector<std::int64_t> steps;
  if (text.empty()) return steps;
  for (const std::string_view part : split(text)) {
    const std::size_t dash = part.find('-');
    const bool is_range = dash != std::string_view::npos;
    const std::optional<std::int64_t> first = whole_number(part.substr(0, dash));
    const std::optional<std::int64_t> last = is_range ? whole_number(part.substr(dash + 1)) : first;
    constexpr std::int64_t kMostSteps = 1'000'000;  // keeps a typo from filling the memory
    if (!first || !last || *last < *first || *last >= kMostSteps) {
      reject_form(text, kStepListForm, origin);
    }
    for (std::int64_t step = *first; step <= *last; ++step) steps.push_back(step);
  }
  sort_unique(steps);
  return steps;
}

}  // namespace bw
