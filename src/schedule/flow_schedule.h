// What the flow schedulers share: the tables, and one step of the exact solution between two noise
// levels. Read flow_match_euler.cc next.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/scheduler.h"

namespace bw {

class FlowSchedule : public Schedule {
 public:
  FlowSchedule(std::vector<Evaluation> evaluations, std::vector<double> sigmas);
  [[nodiscard]] std::span<const Evaluation> evaluations() const final { return evaluations_; }
  [[nodiscard]] std::span<const double> sigmas() const final { return sigmas_; }
  // The first noise level is 1 (nearly), so the noise is used as it is.
  [[nodiscard]] SchedulerState initial(const at::Tensor& noise) const final;
  [[nodiscard]] at::Tensor model_input(std::int64_t index, const SchedulerState& state) const final;
  [[nodiscard]] SchedulerState step(std::int64_t index, const at::Tensor& prediction,
                                    SchedulerState state) const final;

 protected:
  // step() with the arguments checked and `velocity` in the dtype of the sample.
  [[nodiscard]] virtual SchedulerState advance(const Evaluation& evaluation,
                                               const at::Tensor& velocity,
                                               SchedulerState state) const = 0;
  [[nodiscard]] double sigma(std::int64_t step) const {
    return sigmas_[static_cast<std::size_t>(step)];
  }
  [[nodiscard]] std::int64_t num_steps() const {
    return static_cast<std::int64_t>(sigmas_.size()) - 1;
  }

 private:
  std::vector<Evaluation> evaluations_;
  std::vector<double> sigmas_;
};

// One evaluation per step, at `timesteps`.
[[nodiscard]] std::vector<Evaluation> single_evaluations(const std::vector<double>& sigmas,
                                                         const std::vector<double>& timesteps);

// lambda(sigma) = ln((1-sigma)/sigma), half the log of the signal-to-noise ratio; infinite at 0.
[[nodiscard]] double log_snr(double sigma);

// From level a to b < a with a constant x0 prediction m, exactly: x_b = scale * x_a + weight * m
// (DPM-Solver++, arXiv:2211.01095, proposition 4.1, with the flow coefficients alpha = 1 - sigma).
struct LogSnrStep {
  LogSnrStep(double a, double b);
  double h;       // lambda(b) - lambda(a) > 0
  double phi;     // exp(-h) - 1
  double scale;   // b / a
  double weight;  // -(1 - b) * phi
};

}  // namespace bw
