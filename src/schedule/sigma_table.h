// Noise levels of the flow schedulers, computed in the order and precision of diffusers, so that
// the tables are equal bit for bit. Read flow_schedule.h for what walks them.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/flow_config.h"
#include "schedule/scheduler.h"

namespace bw {

// What is done to levels (descending, without the final 0) before they are used.
struct SigmaTable {
  const FlowParams& params;
  const Origin& origin;
  ScheduleRequest request;

  // k of s_k: `shift`, or, dynamic, from mu on the line through (base_image_seq_len, base_shift)
  // and (max_image_seq_len, max_shift), which is not clamped to its ends.
  [[nodiscard]] double shift() const;
  // Shifted, then stretched to shift_terminal, in float32 or float64 throughout.
  [[nodiscard]] std::vector<double> shaped_f32(const std::vector<double>& levels) const;
  [[nodiscard]] std::vector<double> shaped_f64(const std::vector<double>& levels) const;
  // Each rounded to float32, with a final 0. Rejects levels that are not strictly descending in
  // float32, and NaN.
  [[nodiscard]] std::vector<double> finished(const std::vector<double>& levels) const;
};

// `count` values from `start` to `stop`, both included, as numpy computes them.
[[nodiscard]] std::vector<double> linspace(double start, double stop, std::int64_t count);

// The levels that a pipeline passes to its scheduler: "explicit" 1 - i/n, or "linear_quadratic"
// (Mochi: half of the steps linear down to 0.975, half quadratic; at least two).
[[nodiscard]] std::vector<double> passed_levels(const std::string& kind, ScheduleRequest request,
                                                const Origin& origin);

// Euler's and Heun's levels, final 0 (inverted: 1) included. Without passed levels diffusers spaces
// time steps evenly between the ends of the *shifted* training table and shifts once more, so the
// shift acts twice.
[[nodiscard]] std::vector<double> flow_match_sigmas(const FlowMatchParams& params,
                                                    ScheduleRequest request, const Origin& origin);

// sigma * num_train_timesteps in float32.
[[nodiscard]] double flow_match_timestep(double sigma, const FlowParams& params);

// The multistep solvers' time steps: level * num_train_timesteps without the fraction, from levels
// not yet rounded to float32.
[[nodiscard]] std::vector<double> whole_timesteps(const std::vector<double>& levels,
                                                  const FlowParams& params);

}  // namespace bw
