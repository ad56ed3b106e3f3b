// Explicit Euler on dx/dsigma = v (diffusers: FlowMatchEulerDiscreteScheduler):
// x <- x + (sigma_{i+1} - sigma_i) * v.
#include <ATen/ATen.h>

#include <array>

#include "schedule/flow_schedule.h"
#include "schedule/sigma_table.h"

namespace bw {
namespace {

constexpr std::string_view kClassName = "FlowMatchEulerDiscreteScheduler";
constexpr std::array<KeyRule, 6> kRules = {{
    {"_class_name", kClassName, "this is Euler's configuration"},
    {"prediction_type", "flow_prediction", "Euler integrates the velocity"},
    {"use_karras_sigmas", "false", "only shifted noise levels are built"},
    {"use_exponential_sigmas", "false", "only shifted noise levels are built"},
    {"use_beta_sigmas", "false", "only shifted noise levels are built"},
    {"stochastic_sampling", "false", "equal plans must give equal videos"},
}};

class FlowMatchEuler final : public FlowSchedule {
 public:
  using FlowSchedule::FlowSchedule;

 protected:
  SchedulerState advance(const Evaluation& evaluation, const at::Tensor& velocity,
                         SchedulerState state) const override {
    const double change = sigma(evaluation.step + 1) - sigma(evaluation.step);
    return {at::add(state.sample, velocity, change), {}};
  }
};

std::unique_ptr<Schedule> make(const Json& config, const Origin& origin, ScheduleRequest request) {
  FlowMatchParams params;
  read_flow_config(params, config, kRules, origin);
  std::vector<double> sigmas = flow_match_sigmas(params, request, origin);
  std::vector<double> timesteps;
  for (std::int64_t i = 0; i < request.num_steps; ++i) {
    timesteps.push_back(flow_match_timestep(sigmas[static_cast<std::size_t>(i)], params));
  }
  std::vector<Evaluation> evaluations = single_evaluations(sigmas, timesteps);
  return std::make_unique<FlowMatchEuler>(std::move(evaluations), std::move(sigmas));
}

}  // namespace

SchedulerInfo flow_match_euler_scheduler() {
  return {.name = "euler",
          .class_name = kClassName,
          .summary = "first order, one evaluation per step",
          .prediction_types = {"flow_prediction"},
          .params = describe_params(FlowMatchParams()),
          .make = make};
}

}  // namespace bw
