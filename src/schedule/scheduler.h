// Turns model predictions into less noisy latents. Read flow_match_euler.cc for the smallest
// example. A Schedule is immutable: everything about the run is fixed when it is made, and what a
// run changes lives in a SchedulerState, a value, so that several runs may share one schedule.
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
  double timestep = 0;     // what the model is given (0 … 1000)
  double sigma = 0;        // noise level of the model input
};

struct SchedulerState {
  at::Tensor sample;                // [B,C,F,H,W] f32 (f64 in tests): the latents
  std::vector<at::Tensor> history;  // what the scheduler remembers; its own business
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  [[nodiscard]] virtual std::span<const Evaluation> evaluations() const = 0;
  // Noise levels of the steps with the final 0 appended: num_steps + 1 values, descending.
  [[nodiscard]] virtual std::span<const double> sigmas() const = 0;
  // State before the first evaluation, from unit noise.
  [[nodiscard]] virtual SchedulerState initial(const at::Tensor& noise) const = 0;
  // What the model sees at evaluation `index`.
  [[nodiscard]] virtual at::Tensor model_input(std::int64_t index,
                                               const SchedulerState& state) const = 0;
  // The state after evaluation `index`; evaluations in order, each once.
  [[nodiscard]] virtual SchedulerState step(std::int64_t index, const at::Tensor& prediction,
                                            SchedulerState state) const = 0;
};

struct ScheduleRequest {
  std::int64_t num_steps = 0;
  std::int64_t num_tokens = 0;  // latent positions, for resolution-dependent shifts
};

// One row of the table of schedulers.
struct SchedulerInfo {
  std::string_view name;        // on the command line: "euler"
  std::string_view class_name;  // diffusers' class: "FlowMatchEulerDiscreteScheduler"
  std::string_view summary;
  std::vector<std::string> prediction_types;  // e.g. {"flow_prediction"}
  std::vector<ParamInfo> params;              // diffusers' configuration keys
  // Unknown keys and values this scheduler cannot honour are rejected through `origin`.
  std::unique_ptr<Schedule> (*make)(const Json& config, const Origin& origin,
                                    ScheduleRequest request) = nullptr;
};

[[nodiscard]] std::span<const SchedulerInfo> schedulers();
// By name or class name; rejects an unknown one with the nearest known.
[[nodiscard]] const SchedulerInfo& find_scheduler(std::string_view name, const Origin& origin);

}  // namespace bw
