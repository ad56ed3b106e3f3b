#include "cache/rebuild.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

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
constexpr std::string_view kWeighted = "weighted";
constexpr std::string_view kWeightedResidual = "weighted residual";
constexpr std::string_view kMeanVelocityPrefix = "mean_velocity:";

// 1 … highest, or 0.
int parse_order(std::string_view text, int highest) {
  int order = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), order);
  const bool is_valid =
      error == std::errc() && end == text.data() + text.size() && order >= 1 && order <= highest;
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
    rebuild.order_ = parse_order(text.substr(kTaylorPrefix.size()), kMaxOrder);
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

Rebuild Rebuild::weighted(bool residual) {
  Rebuild rebuild;
  rebuild.residual_ = residual;
  rebuild.order_ = 1;
  rebuild.weighted_ = true;
  return rebuild;
}

Rebuild Rebuild::chebyshev(const Chebyshev& fit) {
  BW_CHECK(fit.degree >= 1 && fit.window >= 2 && fit.ridge > 0);
  Rebuild rebuild;
  rebuild.residual_ = true;
  rebuild.order_ = fit.window - 1;
  rebuild.chebyshev_ = fit;
  return rebuild;
}

Rebuild Rebuild::mean_velocity(int max_span) {
  BW_CHECK(max_span >= 1 && max_span <= kMaxSpan);
  Rebuild rebuild;
  rebuild.order_ = max_span - 1;
  rebuild.mean_velocity_ = true;
  return rebuild;
}

Rebuild Rebuild::from_name(std::string_view name, const Origin& origin) {
  if (name == kWeighted || name == kWeightedResidual) return weighted(name == kWeightedResidual);
  if (name.starts_with(kMeanVelocityPrefix)) {
    const int span = parse_order(name.substr(kMeanVelocityPrefix.size()), kMaxSpan);
    if (span == 0) {
      reject(origin, "'" + std::string(name) + "' is no mean velocity: its span is 1 … " +
                         std::to_string(kMaxSpan));
    }
    return mean_velocity(span);
  }
  Chebyshev fit;
  const bool is_fit = std::sscanf(std::string(name).c_str(), "chebyshev:%d;%d;%lg;%lg", &fit.degree,
                                  &fit.window, &fit.ridge, &fit.blend) == 4;
  if (!is_fit) return parse(name, origin);
  if (fit.degree < 1 || fit.window < 2 || !(fit.ridge > 0)) {
    reject(origin, "'" + std::string(name) + "' is no fit: degree >= 1, window >= 2, ridge > 0");
  }
  return chebyshev(fit);
}

std::string Rebuild::name() const {
  if (weighted_) return std::string(residual_ ? kWeightedResidual : kWeighted);
  if (mean_velocity_) return std::string(kMeanVelocityPrefix) + std::to_string(depth());
  if (chebyshev_) {
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "chebyshev:%d;%d;%.17g;%.17g", chebyshev_->degree,
                  chebyshev_->window, chebyshev_->ridge, chebyshev_->blend);
    return text.data();
  }
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
  // A run that is only played through has no latents.
  if (mean_velocity_ && input.front().defined()) return {output.front(), input.front()};
  if (!residual_) return output;
  BW_CHECK(input.size() == output.size());
  Hidden residual;
  residual.reserve(output.size());
  for (std::size_t i = 0; i < output.size(); ++i) residual.push_back(output[i] - input[i]);
  return residual;
}

std::size_t Rebuild::depth() const { return static_cast<std::size_t>(order_) + 1; }

std::vector<double> Rebuild::weights(std::span<const Sample> samples, const RebuildAt& at) const {
  if (weighted_) return {1 + at.weight, -at.weight};
  std::vector<std::int64_t> steps;
  for (const Sample& sample : samples) steps.push_back(sample.step);
  if (!chebyshev_) return extrapolation_weights(steps, at.step);
  std::vector<double> fit = chebyshev_weights(steps, at, *chebyshev_);
  const std::vector<double> line =
      extrapolation_weights(std::span<const std::int64_t>(steps).first(2), at.step);
  for (std::size_t i = 0; i < fit.size(); ++i) {
    fit[i] *= chebyshev_->blend;
    if (i < line.size()) fit[i] += (1 - chebyshev_->blend) * line[i];
  }
  return fit;
}

Hidden Rebuild::value(std::span<const Sample> samples, const RebuildAt& at,
                      const Hidden& input) const {
  BW_CHECK(!samples.empty() && samples.size() <= depth());
  if (mean_velocity_) return {mean_velocity_value(samples, at, input)};
  const Hidden& newest = samples.front().value;
  BW_CHECK(!residual_ || input.size() == newest.size());
  Hidden result;
  result.reserve(newest.size());
  const auto& [scale, shift] = at.correction;
  if (samples.size() == 1 && at.correction == ScaleShift()) {
    for (std::size_t i = 0; i < newest.size(); ++i) {
      result.push_back(residual_ ? input[i] + newest[i] : newest[i]);
    }
    return result;
  }
  std::vector<double> factors = {1};
  if (samples.size() > 1) factors = weights(samples, at);
  for (double& factor : factors) factor *= scale;
  if (residual_) factors.push_back(1);
  for (std::size_t i = 0; i < newest.size(); ++i) {
    std::vector<at::Tensor> values;
    for (const Sample& sample : samples) values.push_back(sample.value[i]);
    if (residual_) values.push_back(input[i]);
    // Rounded once, when the shift is in.
    if (shift != 0) values.front() = values.front().to(at::kFloat);
    const at::Tensor sum = combine(values, factors);
    result.push_back(shift == 0 ? sum : (sum + shift).to(newest[i].scalar_type()));
  }
  return result;
}

at::Tensor Rebuild::mean_velocity_value(std::span<const Sample> samples, const RebuildAt& at,
                                        const Hidden& input) const {
  const at::Tensor& newest = samples.front().value.front();
  if (!input.front().defined()) return newest;
  const double span = std::clamp(at.weight, 1.0, static_cast<double>(samples.size()));
  const Sample& from = samples[static_cast<std::size_t>(span) - 1];
  const double way = at.sigma - from.sigma;
  BW_CHECK(way != 0);
  const double share = (at.next_sigma - at.sigma) / way;
  return combine({newest, from.value[0], input.front(), from.value[1]},
                 {1, -share, share / way, -share / way});
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

namespace {

// T_0(x) … T_degree(x).
std::vector<double> chebyshev_values(double x, int degree) {
  std::vector<double> values = {1, x};
  for (int j = 2; j <= degree; ++j) {
    const std::size_t n = values.size();
    values.push_back(2 * x * values[n - 1] - values[n - 2]);
  }
  return values;
}

}  // namespace

std::vector<double> chebyshev_weights(std::span<const std::int64_t> steps, const RebuildAt& at,
                                      const Rebuild::Chebyshev& fit) {
  const double last = static_cast<double>(std::max<std::int64_t>(at.num_steps - 1, 1));
  const auto place = [&](std::int64_t step) { return 2 * static_cast<double>(step) / last - 1; };
  const auto count = static_cast<std::int64_t>(steps.size());
  const std::int64_t size = fit.degree + 1;
  const at::TensorOptions options = at::TensorOptions().dtype(at::kDouble);
  at::Tensor phi = at::empty({count, size}, options);
  at::Tensor target = at::empty({size, 1}, options);
  const auto fill = [&](double* row, std::int64_t step) {
    const std::vector<double> values = chebyshev_values(place(step), fit.degree);
    std::copy(values.begin(), values.end(), row);
  };
  for (std::int64_t i = 0; i < count; ++i) {
    fill(phi.mutable_data_ptr<double>() + i * size, steps[static_cast<std::size_t>(i)]);
  }
  fill(target.mutable_data_ptr<double>(), at.step);
  const at::Tensor gram = at::mm(phi.t(), phi) + fit.ridge * at::eye(size, options);
  const at::Tensor solved = at::cholesky_solve(target, at::linalg_cholesky(gram));
  const at::Tensor weights = at::mm(phi, solved).contiguous();
  const auto* values = weights.const_data_ptr<double>();
  return {values, values + count};
}

}  // namespace bw
