// Turns model predictions into less noisy latents. Read flow_match_euler.cc for the smallest
// example. A Schedule is immutable: everything about the run is fixed when it is made, and what a
// run changes lives in a SchedulerState, a value, so that several runs may share one schedule and a
// copied state is a fork.
//
// Flow matching: x = (1-sigma)*x0 + sigma*noise; the model returns v = noise - x0, so that
// x0 = x - sigma*v. Noise levels are rounded to float32 as diffusers does, coefficients are double,
// states keep the dtype of the noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/params.h"

namespace bw {

// One call of the model. Heun has two per step but the last; the other schedulers have one.
struct Evaluation {
  std::int64_t index = 0;  // position in the schedule
  std::int64_t step = 0;   // scheduler step it belongs to
  int part = 0;            // 0, or 1 for the second evaluation of a step
  double timestep = 0;     // what the model is given (0 … num_train_timesteps)
  double sigma = 0;        // noise level of the model input, as in Schedule::sigmas
};

struct SchedulerState {
  at::Tensor sample;                // [B,C,F,H,W] f32 (f64 in tests): the latents
  std::vector<at::Tensor> history;  // what the scheduler remembers; its own business
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  [[nodiscard]] virtual std::span<const Evaluation> evaluations() const = 0;
  // Noise levels of the steps with the final 0 appended: num_steps + 1 values, strictly descending.
  // With `invert_sigmas` they are one minus the noise level: ascending, with the final 1.
  [[nodiscard]] virtual std::span<const double> sigmas() const = 0;
  // State before the first evaluation, from unit noise.
  [[nodiscard]] virtual SchedulerState initial(const at::Tensor& noise) const = 0;
  // What the model sees at evaluation `index`.
  [[nodiscard]] virtual at::Tensor model_input(std::int64_t index,
                                               const SchedulerState& state) const = 0;
  // The state after evaluation `index`; evaluations in order, each once. Changes no tensor it is
  // given in place. After the last evaluation the sample is that evaluation's x0.
  [[nodiscard]] virtual SchedulerState step(std::int64_t index, const at::Tensor& prediction,
                                            SchedulerState state) const = 0;
};

struct ScheduleRequest {
  std::int64_t num_steps = 0;   // >= 1
  std::int64_t num_tokens = 0;  // of the video stream; read only by resolution-dependent shifts
};

// One row of the table of schedulers (schedulers.inc).
struct SchedulerInfo {
  std::string_view name;        // on the command line: "euler"
  std::string_view class_name;  // diffusers' class: "FlowMatchEulerDiscreteScheduler"
  std::string_view summary;
  std::vector<std::string> prediction_types;  // e.g. {"flow_prediction"}
  std::vector<ParamInfo> params;              // the configuration keys that have an effect
  // `config` holds diffusers' keys, and `sigmas`, our own. Keys without an effect on flow sampling
  // (betas, spacing of time steps) are accepted; unknown keys, and values this scheduler cannot
  // honour, are rejected through `origin`. Absent use_flow_sigmas and prediction_type mean flow
  // here, though diffusers' defaults are others.
  std::unique_ptr<Schedule> (*make)(const Json& config, const Origin& origin,
                                    ScheduleRequest request) = nullptr;
};

[[nodiscard]] std::span<const SchedulerInfo> schedulers();

// By name or class name; rejects an unknown one with the nearest known.
[[nodiscard]] const SchedulerInfo& find_scheduler(std::string_view name, const Origin& origin);

// Rejects a bundle's prediction type that the scheduler does not take.
void check_prediction_type(const SchedulerInfo& info, std::string_view type, const Origin& origin);

// The configuration of `info` for a bundle made for another scheduler. Carried over:
// num_train_timesteps, the shift (static or dynamic, with its stretch to shift_terminal),
// invert_sigmas, and `sigmas` where `info` has it. Left at the defaults of `info`: everything that
// describes the bundle's own solver (order, type, corrector). A bundle of the same class keeps its
// configuration unchanged. Note that diffusers' Euler and Heun apply the shift twice unless
// `sigmas` is "explicit", and the multistep solvers once: the same shift is not the same table.
[[nodiscard]] Json config_for(const SchedulerInfo& info, const Json& bundle_config);

// `config` with a static shift (> 0) in place of whatever shift it had, under any of its names.
[[nodiscard]] Json with_shift(Json config, double shift);

}  // namespace bw
