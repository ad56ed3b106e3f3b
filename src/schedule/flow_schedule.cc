#include "schedule/flow_schedule.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "base/check.h"

namespace bw {

FlowSchedule::FlowSchedule(std::vector<Evaluation> evaluations, std::vector<double> sigmas)
    : evaluations_(std::move(evaluations)), sigmas_(std::move(sigmas)) {}

SchedulerState FlowSchedule::initial(const at::Tensor& noise) const { return {noise, {}}; }

at::Tensor FlowSchedule::model_input(std::int64_t /*index*/, const SchedulerState& state) const {
  return state.sample;
}

SchedulerState FlowSchedule::step(std::int64_t index, const at::Tensor& prediction,
                                  SchedulerState state) const {
  BW_CHECK(index >= 0 && index < std::ssize(evaluations_),
           "no evaluation " + std::to_string(index));
  BW_CHECK(state.sample.sizes() == prediction.sizes(),
           "the prediction's shape differs from the latents'");
  const at::Tensor velocity = prediction.to(state.sample.scalar_type());
  return advance(evaluations_[static_cast<std::size_t>(index)], velocity, std::move(state));
}

std::vector<Evaluation> single_evaluations(const std::vector<double>& sigmas,
                                           const std::vector<double>& timesteps) {
  std::vector<Evaluation> evaluations;
  for (std::size_t i = 0; i < timesteps.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    evaluations.push_back({index, index, 0, timesteps[i], sigmas[i]});
  }
  return evaluations;
}

double log_snr(double sigma) { return std::log(1 - sigma) - std::log(sigma); }

LogSnrStep::LogSnrStep(double a, double b)
    : h(log_snr(b) - log_snr(a)), phi(std::expm1(-h)), scale(b / a), weight(-(1 - b) * phi) {}

}  // namespace bw
