// Heun's second-order method on dx/dsigma = v (diffusers: FlowMatchHeunDiscreteScheduler), over
// Euler's noise levels: x_e = x + d*v(x, sigma_i), then x + d/2 * (v(x, sigma_i) + v(x_e,
// sigma_{i+1})), with d = sigma_{i+1} - sigma_i. The last step is Euler's, so n steps take 2n-1
// evaluations. diffusers' class has num_train_timesteps and shift alone; the other keys of Euler's
// table work here too, so that the two are interchangeable.
#include <ATen/ATen.h>

#include <array>

#include "base/check.h"
#include "schedule/flow_schedule.h"
#include "schedule/sigma_table.h"

namespace bw {
namespace {

constexpr std::string_view kClassName = "FlowMatchHeunDiscreteScheduler";
constexpr std::array<KeyRule, 2> kRules = {{
    {"_class_name", kClassName, "this is Heun's configuration"},
    {"prediction_type", "flow_prediction", "Heun integrates the velocity"},
}};

class Heun final : public FlowSchedule {
 public:
  using FlowSchedule::FlowSchedule;

 protected:
  // history between the parts of a step: {sample and velocity before it}.
  SchedulerState advance(const Evaluation& evaluation, const at::Tensor& velocity,
                         SchedulerState state) const override {
    const double change = sigma(evaluation.step + 1) - sigma(evaluation.step);
    if (evaluation.part == 0) {
      at::Tensor next = at::add(state.sample, velocity, change);
      if (evaluation.step + 1 == num_steps()) return {std::move(next), {}};
      return {std::move(next), {state.sample, velocity}};
    }
    BW_CHECK(state.history.size() == 2, "the second part of a Heun step before the first");
    return {at::add(state.history[0], state.history[1] + velocity, change / 2), {}};
  }
};

std::unique_ptr<Schedule> make(const Json& config, const Origin& origin, ScheduleRequest request) {
  FlowMatchParams params;
  read_flow_config(params, config, kRules, origin);
  std::vector<double> sigmas = flow_match_sigmas(params, request, origin);
  std::vector<Evaluation> evaluations;
  for (std::int64_t index = 0; index < 2 * request.num_steps - 1; ++index) {
    const double sigma = sigmas[static_cast<std::size_t>((index + 1) / 2)];
    evaluations.push_back({.index = index,
                           .step = index / 2,
                           .part = static_cast<int>(index % 2),
                           .timestep = flow_match_timestep(sigma, params),
                           .sigma = sigma});
  }
  return std::make_unique<Heun>(std::move(evaluations), std::move(sigmas));
}

}  // namespace

SchedulerInfo heun_scheduler() {
  return {.name = "heun",
          .class_name = kClassName,
          .summary = "second order, two evaluations per step (one in the last)",
          .prediction_types = {"flow_prediction"},
          .params = describe_params(FlowMatchParams()),
          .make = make};
}

}  // namespace bw
