#include "schedule/sigma_table.h"

#include <cmath>

#include "base/check.h"

namespace bw {
namespace {

constexpr double kMochiThresholdNoise = 0.025;

double as_f32(double value) { return static_cast<float>(value); }

// s_k(sigma). The dynamic form is algebraically the same, but rounds differently, and diffusers
// uses both.
template <typename T>
T shifted(T sigma, double k, bool dynamic) {
  if (dynamic) return static_cast<T>(k) / (static_cast<T>(k) + (T{1} / sigma - T{1}));
  return static_cast<T>(k) * sigma / (T{1} + static_cast<T>(k - 1) * sigma);
}

template <typename T>
std::vector<double> shaped(const SigmaTable& table, const std::vector<double>& levels) {
  const double k = table.shift();
  std::vector<double> result;
  result.reserve(levels.size());
  for (const double level : levels) {
    result.push_back(shifted(static_cast<T>(level), k, table.params.use_dynamic_shifting));
  }
  if (table.params.shift_terminal > 0) {
    const T data_at_end = T{1} - static_cast<T>(result.back());
    if (!(data_at_end > 0)) {
      reject(table.origin.at("shift_terminal"),
             "cannot be reached with " + std::to_string(table.request.num_steps) +
                 " steps and a shift of " + Json(k).dump() +
                 ": the last noise level is still 1; use more steps or a smaller shift");
    }
    const T scale = data_at_end / static_cast<T>(1 - table.params.shift_terminal);
    for (double& level : result) level = T{1} - (T{1} - static_cast<T>(level)) / scale;
  }
  return result;
}

std::vector<double> linear_quadratic(std::int64_t steps) {
  const auto n = static_cast<double>(steps);
  const double linear = std::floor(n / 2);  // steps of the linear half
  const double rest = n - linear;
  const double gap = linear - kMochiThresholdNoise * n;
  const double quadratic = gap / (linear * rest * rest);
  const double slope = kMochiThresholdNoise / linear - 2 * gap / (rest * rest);
  const double constant = quadratic * linear * linear;
  std::vector<double> levels;
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto x = static_cast<double>(i);
    levels.push_back(1.0 - (x < linear ? x * kMochiThresholdNoise / linear
                                       : quadratic * x * x + slope * x + constant));
  }
  return levels;
}

}  // namespace

double SigmaTable::shift() const {
  if (!params.use_dynamic_shifting) return params.shift;
  BW_CHECK(request.num_tokens > 0, "a dynamic shift needs the number of tokens");
  const auto base = static_cast<double>(params.base_image_seq_len);
  const double slope = (params.max_shift - params.base_shift) /
                       (static_cast<double>(params.max_image_seq_len) - base);
  const double intercept = params.base_shift - slope * base;
  const double mu = static_cast<double>(request.num_tokens) * slope + intercept;
  const double k = params.time_shift_type == "exponential" ? std::exp(mu) : mu;
  if (!(k > 0) || !std::isfinite(k)) {
    reject(origin.at("use_dynamic_shifting"),
           "gives a shift of " + std::to_string(k) + " for " + std::to_string(request.num_tokens) +
               " tokens, but it must be positive and finite; use another size or a static shift");
  }
  return k;
}

std::vector<double> SigmaTable::shaped_f32(const std::vector<double>& levels) const {
  return shaped<float>(*this, levels);
}

std::vector<double> SigmaTable::shaped_f64(const std::vector<double>& levels) const {
  return shaped<double>(*this, levels);
}

std::vector<double> SigmaTable::finished(const std::vector<double>& levels) const {
  std::vector<double> result;
  result.reserve(levels.size() + 1);
  for (const double level : levels) result.push_back(as_f32(level));
  result.push_back(0);
  for (std::size_t i = 0; i + 1 < result.size(); ++i) {
    if (result[i] > result[i + 1]) continue;
    reject(origin.at(params.use_dynamic_shifting ? "use_dynamic_shifting" : params.shift_key),
           "a shift of " + Json(shift()).dump() + " with " + std::to_string(request.num_steps) +
               " steps makes noise levels " + std::to_string(i) + " and " + std::to_string(i + 1) +
               " the same (" + Json(result[i]).dump() +
               "); use fewer steps or a shift nearer to 1");
  }
  return result;
}

std::vector<double> linspace(double start, double stop, std::int64_t count) {
  std::vector<double> values;
  const double step = count > 1 ? (stop - start) / static_cast<double>(count - 1) : 0;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i) * step + start);
  if (count > 1) values.back() = stop;
  return values;
}

std::vector<double> passed_levels(const std::string& kind, ScheduleRequest request,
                                  const Origin& origin) {
  if (kind == "explicit") {
    std::vector<double> levels = linspace(1, 0, request.num_steps + 1);
    levels.pop_back();
    return levels;
  }
  BW_CHECK(kind == "linear_quadratic", kind);
  if (request.num_steps < 2) {
    reject(origin.at("sigmas"),
           "linear_quadratic needs at least 2 steps, got " + std::to_string(request.num_steps));
  }
  return linear_quadratic(request.num_steps);
}

std::vector<double> flow_match_sigmas(const FlowMatchParams& params, ScheduleRequest request,
                                      const Origin& origin) {
  BW_CHECK(request.num_steps >= 1);
  const SigmaTable table{params, origin, request};
  std::vector<double> sigmas;
  if (params.sigmas == "diffusers") {
    const auto train = static_cast<float>(params.num_train_timesteps);
    const auto k = params.shift;
    // The ends of the training table, which diffusers shifts when it is static.
    const float low = 1.0F / train;
    const double last = params.use_dynamic_shifting ? low : shifted(low, k, false);
    const double first = params.use_dynamic_shifting ? 1.0F : shifted(1.0F, k, false);
    sigmas = linspace(first * train, last * train, request.num_steps);
    for (double& sigma : sigmas) sigma /= train;
    sigmas = table.shaped_f64(sigmas);
  } else {
    sigmas = table.shaped_f32(passed_levels(params.sigmas, request, origin));
  }
  sigmas = table.finished(sigmas);
  if (params.invert_sigmas) {
    for (double& sigma : sigmas) sigma = as_f32(1 - sigma);
  }
  return sigmas;
}

double flow_match_timestep(double sigma, const FlowParams& params) {
  return static_cast<float>(sigma) * static_cast<float>(params.num_train_timesteps);
}

std::vector<double> whole_timesteps(const std::vector<double>& levels, const FlowParams& params) {
  std::vector<double> timesteps;
  timesteps.reserve(levels.size());
  for (const double level : levels) {
    timesteps.push_back(std::trunc(level * static_cast<double>(params.num_train_timesteps)));
  }
  return timesteps;
}

}  // namespace bw
