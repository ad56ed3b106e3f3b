// DPM-Solver++(2M), midpoint form, on flow noise levels (arXiv:2211.01095, algorithm 2; diffusers:
// DPMSolverMultistepScheduler with use_flow_sigmas). Between levels x0 is a line in log-SNR through
// the last two predictions. The first step and the last (to noise level 0) are of first order.
#include <ATen/ATen.h>

#include <array>

#include "base/check.h"
#include "schedule/flow_schedule.h"
#include "schedule/sigma_table.h"

namespace bw {
namespace {

constexpr std::string_view kClassName = "DPMSolverMultistepScheduler";
constexpr std::string_view kFlowLevelsOnly = "only shifted flow noise levels are built";
constexpr std::array<KeyRule, 25> kRules = {{
    {"_class_name", kClassName, "this is DPM++ 2M's configuration"},
    {"prediction_type", "flow_prediction", "x0 is taken from the velocity"},
    {"use_flow_sigmas", "true", kFlowLevelsOnly},
    {"use_karras_sigmas", "false", kFlowLevelsOnly},
    {"use_exponential_sigmas", "false", kFlowLevelsOnly},
    {"use_beta_sigmas", "false", kFlowLevelsOnly},
    {"use_lu_lambdas", "false", kFlowLevelsOnly},
    {"invert_sigmas", "false", "the solver needs noise levels that descend to 0"},
    {"final_sigmas_type", "zero", "the run must end without noise"},
    {"algorithm_type", "dpmsolver++", "the other algorithms are not built"},
    {"solver_type", "midpoint", "the other forms are not built"},
    {"thresholding", "false", "latents must not be clipped"},
    {"variance_type", "null", "models that predict a variance are no flow models"},
    // With the final level 0 the last step is of first order whatever these say.
    {"lower_order_final", "", ""},
    {"euler_at_final", "", ""},
    // Without flow levels these would matter.
    {"beta_start", "", ""},
    {"beta_end", "", ""},
    {"beta_schedule", "", ""},
    {"trained_betas", "", ""},
    {"rescale_betas_zero_snr", "", ""},
    {"timestep_spacing", "", ""},
    {"steps_offset", "", ""},
    {"lambda_min_clipped", "", ""},
    // Without thresholding these do nothing.
    {"dynamic_thresholding_ratio", "", ""},
    {"sample_max_value", "", ""},
}};

struct DpmParams final : public FlowParams {
  std::int64_t solver_order = 2;

  void visit(ParamVisitor& visitor) override {
    FlowParams::visit(visitor);
    visitor.integer({"solver_order", "1 ignores the previous prediction"}, solver_order, {1, 2});
  }
};

class Dpmpp2M final : public FlowSchedule {
 public:
  Dpmpp2M(std::vector<Evaluation> evaluations, std::vector<double> sigmas, std::int64_t order)
      : FlowSchedule(std::move(evaluations), std::move(sigmas)), order_(order) {}

 protected:
  // history: {x0 prediction of the previous step}.
  SchedulerState advance(const Evaluation& evaluation, const at::Tensor& velocity,
                         SchedulerState state) const override {
    const std::int64_t i = evaluation.step;
    at::Tensor x0 = at::sub(state.sample, velocity, sigma(i));
    if (i + 1 == num_steps()) return {std::move(x0), {}};
    const LogSnrStep now(sigma(i), sigma(i + 1));
    at::Tensor next = at::mul(state.sample, now.scale);
    next.add_(x0, now.weight);
    if (order_ == 2 && i > 0) {
      BW_CHECK(state.history.size() == 1, "evaluations out of order");
      const double r = (log_snr(sigma(i)) - log_snr(sigma(i - 1))) / now.h;
      next.add_(x0 - state.history[0], now.weight / (2 * r));
    }
    return {std::move(next), {std::move(x0)}};
  }

 private:
  std::int64_t order_;
};

std::unique_ptr<Schedule> make(const Json& config, const Origin& origin, ScheduleRequest request) {
  BW_CHECK(request.num_steps >= 1);
  DpmParams params;
  read_flow_config(params, config, kRules, origin);
  const SigmaTable table{params, origin, request};
  // diffusers spaces the amount of data evenly, from 1 down to 1/num_train_timesteps, and reads it
  // backwards.
  const auto train = static_cast<double>(params.num_train_timesteps);
  const std::vector<double> data = linspace(1, 1 / train, request.num_steps + 1);
  std::vector<double> levels;
  for (auto value = data.rbegin(); value + 1 != data.rend(); ++value) levels.push_back(1 - *value);
  levels = table.shaped_f64(levels);
  std::vector<double> sigmas = table.finished(levels);
  std::vector<Evaluation> evaluations = single_evaluations(sigmas, whole_timesteps(levels, params));
  return std::make_unique<Dpmpp2M>(std::move(evaluations), std::move(sigmas), params.solver_order);
}

}  // namespace

SchedulerInfo dpmpp_2m_scheduler() {
  return {.name = "dpm++2m",
          .class_name = kClassName,
          .summary = "second order, one evaluation per step, from the last two x0 predictions",
          .prediction_types = {"flow_prediction"},
          .params = describe_params(DpmParams()),
          .make = make};
}

}  // namespace bw
