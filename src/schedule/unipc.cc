// UniPC with B(h) = exp(-h) - 1 ("bh2") on flow noise levels (arXiv:2302.04867, UniPC-2; diffusers:
// UniPCMultistepScheduler with use_flow_sigmas; Wan's default). A multistep predictor, whose result
// is corrected at the next evaluation by the prediction made there: no evaluation is added. The
// prediction is not made anew after the correction. First and last step are of first order.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "schedule/flow_schedule.h"
#include "schedule/sigma_table.h"

namespace bw {
namespace {

constexpr std::string_view kClassName = "UniPCMultistepScheduler";
constexpr std::string_view kFlowLevelsOnly = "only shifted flow noise levels are built";
constexpr std::array<KeyRule, 25> kRules = {{
    {"_class_name", kClassName, "this is UniPC's configuration"},
    {"prediction_type", "flow_prediction", "x0 is taken from the velocity"},
    {"use_flow_sigmas", "true", kFlowLevelsOnly},
    {"use_karras_sigmas", "false", kFlowLevelsOnly},
    {"use_exponential_sigmas", "false", kFlowLevelsOnly},
    {"use_beta_sigmas", "false", kFlowLevelsOnly},
    {"invert_sigmas", "false", "the solver needs noise levels that descend to 0"},
    {"final_sigmas_type", "zero", "the run must end without noise"},
    {"lower_order_final", "true", "a second-order step to noise level 0 is not finite"},
    {"predict_x0", "true", "flow predictions are solved for x0"},
    {"solver_type", "bh2", "the other forms are not built"},
    {"solver_p", "null", "the predictor is UniPC's own"},
    {"disable_corrector", "[]", "the corrector runs at every step"},
    {"thresholding", "false", "latents must not be clipped"},
    // Without flow levels these would matter.
    {"beta_start", "", ""},
    {"beta_end", "", ""},
    {"beta_schedule", "", ""},
    {"trained_betas", "", ""},
    {"rescale_betas_zero_snr", "", ""},
    {"timestep_spacing", "", ""},
    {"steps_offset", "", ""},
    // With Karras, exponential or beta levels these would matter.
    {"sigma_min", "", ""},
    {"sigma_max", "", ""},
    // Without thresholding these do nothing.
    {"dynamic_thresholding_ratio", "", ""},
    {"sample_max_value", "", ""},
}};

// Keeps the first noise level off 1, where the log-SNR is infinite.
constexpr double kFirstLevelMargin = 1e-6;

struct UniPcParams final : public FlowTableParams {
  std::int64_t solver_order = 2;

  void visit(ParamVisitor& visitor) override {
    FlowTableParams::visit(visitor);
    visitor.integer({"solver_order", "1 predicts and corrects from one prediction"}, solver_order,
                    {1, 2});
  }
};

class UniPc final : public FlowSchedule {
 public:
  UniPc(std::vector<Evaluation> evaluations, std::vector<double> sigmas, std::int64_t order)
      : FlowSchedule(std::move(evaluations), std::move(sigmas)), order_(order) {}

 protected:
  // history: {corrected sample of the previous step, its x0 prediction, the x0 prediction before
  // that}.
  SchedulerState advance(const Evaluation& evaluation, const at::Tensor& velocity,
                         SchedulerState state) const override {
    const std::int64_t i = evaluation.step;
    BW_CHECK(std::ssize(state.history) == std::min<std::int64_t>(i + (i > 0 ? 1 : 0), 3),
             "evaluations out of order");
    at::Tensor x0 = at::sub(state.sample, velocity, sigma(i));
    // To noise level 0 the predictor gives x0 whatever the sample, so there is nothing to correct.
    if (i + 1 == num_steps()) return {std::move(x0), {}};
    at::Tensor sample = i == 0 ? state.sample : corrected(i, x0, state);
    at::Tensor next = predicted(i, sample, x0, state);
    std::vector<at::Tensor> history = {std::move(sample), std::move(x0)};
    if (i > 0) history.push_back(state.history[1]);
    return {std::move(next), std::move(history)};
  }

 private:
  // Order of the predictor from step i to i + 1, and of the corrector that follows it.
  [[nodiscard]] std::int64_t order_at(std::int64_t i) const {
    return std::min({order_, num_steps() - i, i + 1});
  }

  // UniP: from `sample` at level i to level i + 1.
  [[nodiscard]] at::Tensor predicted(std::int64_t i, const at::Tensor& sample, const at::Tensor& x0,
                                     const SchedulerState& state) const {
    const LogSnrStep now(sigma(i), sigma(i + 1));
    at::Tensor next = at::mul(sample, now.scale);
    next.add_(x0, now.weight);
    if (order_at(i) == 2) {
      const double r = (log_snr(sigma(i - 1)) - log_snr(sigma(i))) / now.h;
      next.add_(state.history[1] - x0, now.weight / (2 * r));
    }
    return next;
  }

  // UniC: the step from level i - 1 to i once more, now knowing the x0 prediction at its end.
  [[nodiscard]] at::Tensor corrected(std::int64_t i, const at::Tensor& x0,
                                     const SchedulerState& state) const {
    const at::Tensor& before = state.history[1];
    const LogSnrStep last(sigma(i - 1), sigma(i));
    at::Tensor sample = at::mul(state.history[0], last.scale);
    sample.add_(before, last.weight);
    if (order_at(i - 1) == 1) return sample.add_(x0 - before, last.weight / 2);
    // rho solves [[1, 1], [r, 1]] rho = (b1, b2), the moments that B(h) must match.
    const double r = (log_snr(sigma(i - 2)) - log_snr(sigma(i - 1))) / last.h;
    const double k1 = last.phi / -last.h - 1;
    const double b1 = k1 / last.phi;
    const double b2 = 2 * (k1 / -last.h - 0.5) / last.phi;
    const double rho0 = (b1 - b2) / (1 - r);
    const double rho1 = b1 - rho0;
    sample.add_(state.history[2] - before, last.weight * rho0 / r);
    return sample.add_(x0 - before, last.weight * rho1);
  }

  std::int64_t order_;
};

std::vector<double> unipc_levels(const UniPcParams& params, ScheduleRequest request,
                                 const Origin& origin) {
  const SigmaTable table{params, origin, request};
  const auto train = static_cast<double>(params.num_train_timesteps);
  std::vector<double> levels;
  if (params.sigmas == "diffusers") {
    levels = linspace(1, 1 / train, request.num_steps + 1);
    levels.pop_back();
  } else {
    levels = passed_levels(params.sigmas, request, origin);
  }
  levels = table.shaped_f64(levels);
  if (std::abs(levels.front() - 1) < kFirstLevelMargin) levels.front() -= kFirstLevelMargin;
  return levels;
}

std::unique_ptr<Schedule> make(const Json& config, const Origin& origin, ScheduleRequest request) {
  BW_CHECK(request.num_steps >= 1);
  UniPcParams params;
  read_flow_config(params, config, kRules, origin);
  const std::vector<double> levels = unipc_levels(params, request, origin);
  std::vector<double> sigmas = SigmaTable{params, origin, request}.finished(levels);
  std::vector<Evaluation> evaluations = single_evaluations(sigmas, whole_timesteps(levels, params));
  return std::make_unique<UniPc>(std::move(evaluations), std::move(sigmas), params.solver_order);
}

}  // namespace

SchedulerInfo unipc_scheduler() {
  return {.name = "unipc",
          .class_name = kClassName,
          .summary = "second order with a corrector, one evaluation per step",
          .prediction_types = {"flow_prediction"},
          .params = describe_params(UniPcParams()),
          .make = make};
}

}  // namespace bw
