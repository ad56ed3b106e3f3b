#include "cache/rebuild.h"

#include <ATen/ATen.h>

#include <array>
#include <charconv>

#include "base/check.h"
#include "kernels/combine.h"

namespace bw {
namespace {

struct Rule {
  std::string_view name;
  bool residual;
  int order;
};

// taylor:n is the family that the last rows of the table belong to.
constexpr std::array<Rule, 3> kRules = {{
    {"output", false, 0},   // Y = Y_anchor
    {"residual", true, 0},  // Y = X + (Y − X)_anchor
    {"linear", true, 1},    // Y = X + the line through the last two (Y − X)
}};
constexpr std::string_view kTaylorPrefix = "taylor:";

int parse_order(std::string_view text) {
  int order = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), order);
  const bool is_valid = error == std::errc() && end == text.data() + text.size() && order >= 1 &&
                        order <= Rebuild::kMaxOrder;
  return is_valid ? order : 0;
}

}  // namespace

Rebuild Rebuild::parse(std::string_view text, const Origin& origin) {
  Rebuild rebuild;
  for (const Rule& rule : kRules) {
    if (rule.name != text) continue;
    rebuild.residual_ = rule.residual;
    rebuild.order_ = rule.order;
    return rebuild;
  }
  if (text.starts_with(kTaylorPrefix)) {
    rebuild.residual_ = true;
    rebuild.order_ = parse_order(text.substr(kTaylorPrefix.size()));
    if (rebuild.order_ > 0) return rebuild;
  }
  std::vector<std::string> known;
  known.reserve(std::size(kRules) + 1);
  for (const Rule& rule : kRules) known.emplace_back(rule.name);
  known.emplace_back("taylor:1");
  reject(origin, std::string("must be ")
                     .append(kForm)
                     .append(", got ")
                     .append(text)
                     .append(known_names_hint(text, known)));
}

std::string Rebuild::name() const {
  for (const Rule& rule : kRules) {
    if (rule.residual == residual_ && rule.order == order_) return std::string(rule.name);
  }
  return std::string(kTaylorPrefix) + std::to_string(order_);
}

Rebuild Rebuild::without_input() const {
  Rebuild rebuild = *this;
  rebuild.residual_ = false;
  return rebuild;
}

Hidden Rebuild::keep(const Hidden& input, const Hidden& output) const {
  if (!residual_) return output;
  BW_CHECK(input.size() == output.size());
  Hidden residual;
  residual.reserve(output.size());
  for (std::size_t i = 0; i < output.size(); ++i) residual.push_back(output[i] - input[i]);
  return residual;
}

Hidden Rebuild::value(std::span<const Sample> samples, std::int64_t step,
                      const Hidden& input) const {
  BW_CHECK(!samples.empty() && samples.size() <= depth());
  const Hidden& newest = samples.front().value;
  BW_CHECK(!residual_ || input.size() == newest.size());
  Hidden result;
  result.reserve(newest.size());
  if (samples.size() == 1) {
    for (std::size_t i = 0; i < newest.size(); ++i) {
      result.push_back(residual_ ? input[i] + newest[i] : newest[i]);
    }
    return result;
  }
  std::vector<std::int64_t> steps;
  for (const Sample& sample : samples) steps.push_back(sample.step);
  std::vector<double> weights = extrapolation_weights(steps, step);
  if (residual_) weights.push_back(1);
  for (std::size_t i = 0; i < newest.size(); ++i) {
    std::vector<at::Tensor> values;
    for (const Sample& sample : samples) values.push_back(sample.value[i]);
    if (residual_) values.push_back(input[i]);
    result.push_back(combine(values, weights));
  }
  return result;
}

// The polynomial through the samples is unique; Newton's form of it is
//   p(t) = f[x0] + f[x0,x1](t−x0) + f[x0,x1,x2](t−x0)(t−x1) + …,
// which is linear in the samples: weight i is p(t) for the samples that are 1 at x_i and 0
// elsewhere.
std::vector<double> extrapolation_weights(std::span<const std::int64_t> steps,
                                          std::int64_t target) {
  const std::size_t count = steps.size();
  std::vector<double> weights(count, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> difference(count, 0.0);
    difference[i] = 1.0;
    double product = 1.0;
    weights[i] = difference[0];
    for (std::size_t order = 1; order < count; ++order) {
      for (std::size_t j = 0; j + order < count; ++j) {
        const auto gap = static_cast<double>(steps[j + order] - steps[j]);
        BW_CHECK(gap != 0);
        difference[j] = (difference[j + 1] - difference[j]) / gap;
      }
      product *= static_cast<double>(target - steps[order - 1]);
      weights[i] += difference[0] * product;
    }
  }
  return weights;
}

}  // namespace bw
