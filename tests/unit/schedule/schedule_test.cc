// Properties that every scheduler of the table must have; formulas and tables are in
// tests/golden/schedule.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "schedule/scheduler.h"

namespace bw {
namespace {

const Origin kOrigin = Origin::file("model.json: scheduler");

using Velocity = std::function<at::Tensor(const at::Tensor& x, double sigma)>;

std::unique_ptr<Schedule> make(std::string_view name, std::int64_t steps,
                               const Json& config = Json::object()) {
  return find_scheduler(name, kOrigin).make(config, kOrigin, {steps, 4096});
}

SchedulerState advance(const Schedule& schedule, const Evaluation& evaluation, SchedulerState state,
                       const Velocity& velocity) {
  const at::Tensor input = schedule.model_input(evaluation.index, state);
  return schedule.step(evaluation.index, velocity(input, evaluation.sigma), std::move(state));
}

at::Tensor run(const Schedule& schedule, const at::Tensor& noise, const Velocity& velocity) {
  SchedulerState state = schedule.initial(noise);
  for (const Evaluation& evaluation : schedule.evaluations()) {
    state = advance(schedule, evaluation, std::move(state), velocity);
  }
  return state.sample;
}

at::Tensor start() { return at::tensor({-1.4, -0.3, 0.6, 1.9}, at::kDouble); }

// dx/dsigma = kGrowth*x + kDrift*sigma, which has a closed solution.
constexpr double kGrowth = 0.8;
constexpr double kDrift = -1.5;

at::Tensor linear_velocity(const at::Tensor& x, double sigma) {
  return kGrowth * x + kDrift * sigma;
}

at::Tensor exact_end(const at::Tensor& x, double sigma) {
  const double slope = kDrift / kGrowth;
  const double offset = kDrift / (kGrowth * kGrowth);
  return (x + slope * sigma + offset) * std::exp(-kGrowth * sigma) - offset;
}

// diffusers' own tables end in a last level that does not shrink with the number of steps (1/1000,
// shifted), which would hide the order; the explicit ones do not.
double end_error(const std::string& name, std::int64_t steps) {
  Json config = {{"shift", 2.0}};
  if (name != "dpm++2m") config["sigmas"] = "explicit";
  const auto schedule = make(name, steps, config);
  const at::Tensor end = run(*schedule, start(), linear_velocity);
  return (end - exact_end(start(), schedule->sigmas().front())).abs().max().item<double>();
}

class EveryScheduler : public testing::TestWithParam<std::string> {};

// The multistep solvers interpolate in log-SNR, whose steps do not shrink at either end of the
// range; that costs a factor log(n), so their order is approached slowly. A wrong second-order term
// leaves a measured order near 1.
TEST_P(EveryScheduler, Error_StepsDoubled_FallsWithTheOrder) {
  struct Order {
    double order;
    double tolerance;
  };
  const std::map<std::string, Order> orders = {
      {"euler", {1, 0.05}}, {"heun", {2, 0.1}}, {"unipc", {2, 0.4}}, {"dpm++2m", {2, 0.4}}};
  ASSERT_TRUE(orders.contains(GetParam())) << "state the order of a new scheduler here";
  const double measured = std::log2(end_error(GetParam(), 320) / end_error(GetParam(), 640));
  RecordProperty("measured_order", std::to_string(measured));
  EXPECT_NEAR(measured, orders.at(GetParam()).order, orders.at(GetParam()).tolerance);
}

TEST_P(EveryScheduler, Solution_ConstantVelocity_Exact) {
  const auto schedule = make(GetParam(), 7, {{"shift", 3.0}});
  const at::Tensor velocity = at::tensor({0.5, -1.0, 2.0, 0.25}, at::kDouble);
  const at::Tensor end = run(*schedule, start(), [&](const auto&, double) { return velocity; });
  const at::Tensor expected = start() - schedule->sigmas().front() * velocity;
  EXPECT_LT((end - expected).abs().max().item<double>(), 1e-12);
}

TEST_P(EveryScheduler, Solution_ConstantDataPrediction_Exact) {
  const auto schedule = make(GetParam(), 7);
  const at::Tensor data = at::tensor({0.5, -1.0, 2.0, 0.25}, at::kDouble);
  const at::Tensor end = run(*schedule, start(),
                             [&](const at::Tensor& x, double sigma) { return (x - data) / sigma; });
  EXPECT_LT((end - data).abs().max().item<double>(), 1e-12);
}

TEST_P(EveryScheduler, LastSample_AnyVelocity_IsTheLastDataPrediction) {
  const auto schedule = make(GetParam(), 5);
  at::Tensor prediction;
  const at::Tensor end = run(*schedule, start(), [&](const at::Tensor& x, double sigma) {
    const at::Tensor velocity = linear_velocity(x, sigma);
    prediction = x - sigma * velocity;
    return velocity;
  });
  EXPECT_LT((end - prediction).abs().max().item<double>(), 1e-14);
}

TEST_P(EveryScheduler, Tables_AnyStepCount_DescendToZero) {
  for (const std::int64_t steps : {1, 2, 3, 50, 999}) {
    for (const double shift : {0.5, 1.0, 12.0}) {
      const auto schedule = make(GetParam(), steps, {{"shift", shift}});
      const auto sigmas = schedule->sigmas();
      ASSERT_EQ(std::ssize(sigmas), steps + 1);
      EXPECT_LE(sigmas.front(), 1);
      EXPECT_EQ(sigmas.back(), 0);
      for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) ASSERT_GT(sigmas[i], sigmas[i + 1]);
    }
  }
}

TEST_P(EveryScheduler, Evaluations_AnyStepCount_CountedAndInOrder) {
  for (const std::int64_t steps : {1, 2, 30}) {
    const auto schedule = make(GetParam(), steps);
    const auto evaluations = schedule->evaluations();
    ASSERT_EQ(std::ssize(evaluations), GetParam() == "heun" ? 2 * steps - 1 : steps);
    for (std::size_t i = 0; i < evaluations.size(); ++i) {
      const Evaluation& now = evaluations[i];
      EXPECT_EQ(now.index, static_cast<std::int64_t>(i));
      EXPECT_EQ(now.sigma, schedule->sigmas()[static_cast<std::size_t>(now.step + now.part)]);
      EXPECT_NEAR(now.timestep, 1000 * now.sigma,
                  1.001);  // the multistep solvers drop the fraction
      if (i == 0) continue;
      const Evaluation& before = evaluations[i - 1];
      EXPECT_TRUE(now.part == 0 ? now.step == before.step + 1
                                : now.step == before.step && before.part == 0);
    }
  }
}

TEST_P(EveryScheduler, Step_AnyEvaluation_LeavesItsInputsAlone) {
  const auto schedule = make(GetParam(), 6);
  SchedulerState state = schedule->initial(start());
  for (const Evaluation& evaluation : schedule->evaluations()) {
    const at::Tensor velocity = linear_velocity(state.sample, evaluation.sigma);
    std::vector<at::Tensor> given = {velocity, state.sample};
    given.insert(given.end(), state.history.begin(), state.history.end());
    std::vector<at::Tensor> copies;
    for (const at::Tensor& tensor : given) copies.push_back(tensor.clone());
    state = schedule->step(evaluation.index, velocity, state);
    for (std::size_t i = 0; i < given.size(); ++i) EXPECT_TRUE(given[i].equal(copies[i])) << i;
  }
}

TEST_P(EveryScheduler, Schedules_Interleaved_DoNotDisturbEachOther) {
  const auto one = make(GetParam(), 6, {{"shift", 3.0}});
  const auto other = make(GetParam(), 6, {{"shift", 5.0}});
  SchedulerState first = one->initial(start());
  SchedulerState second = other->initial(-start());
  SchedulerState third = one->initial(start() * 2);
  for (std::size_t i = 0; i < one->evaluations().size(); ++i) {
    first = advance(*one, one->evaluations()[i], std::move(first), linear_velocity);
    second = advance(*other, other->evaluations()[i], std::move(second), linear_velocity);
    third = advance(*one, one->evaluations()[i], std::move(third), linear_velocity);
  }
  EXPECT_TRUE(first.sample.equal(run(*one, start(), linear_velocity)));
  EXPECT_TRUE(second.sample.equal(run(*other, -start(), linear_velocity)));
  EXPECT_TRUE(third.sample.equal(run(*one, start() * 2, linear_velocity)));
}

TEST_P(EveryScheduler, State_CopiedAtAnyEvaluation_IsAFork) {
  const auto schedule = make(GetParam(), 5);
  const auto evaluations = schedule->evaluations();
  const at::Tensor expected = run(*schedule, start(), linear_velocity);
  const Velocity zero = [](const at::Tensor& x, double) { return at::zeros_like(x); };
  for (std::size_t fork = 0; fork < evaluations.size(); ++fork) {
    SchedulerState state = schedule->initial(start());
    for (std::size_t i = 0; i < fork; ++i) {
      state = advance(*schedule, evaluations[i], std::move(state), linear_velocity);
    }
    SchedulerState copy = state;
    for (std::size_t i = fork; i < evaluations.size(); ++i) {
      copy = advance(*schedule, evaluations[i], std::move(copy), zero);
      state = advance(*schedule, evaluations[i], std::move(state), linear_velocity);
    }
    EXPECT_TRUE(state.sample.equal(expected)) << "forked at " << fork;
  }
}

TEST_P(EveryScheduler, Sample_InFloat32_StaysFloat32AndNearFloat64) {
  const auto schedule = make(GetParam(), 12, {{"shift", 3.0}});
  const at::Tensor expected = run(*schedule, start(), linear_velocity);
  const at::Tensor end = run(*schedule, start().to(at::kFloat), linear_velocity);
  EXPECT_EQ(end.scalar_type(), at::kFloat);
  EXPECT_LT((end - expected).abs().max().item<double>(), 2e-6);
  const at::Tensor mixed = run(*schedule, start().to(at::kFloat), [](const auto& x, double sigma) {
    return linear_velocity(x, sigma).to(at::kDouble);
  });
  EXPECT_EQ(mixed.scalar_type(), at::kFloat) << "a wider prediction must not widen the latents";
}

TEST_P(EveryScheduler, Step_WrongIndexOrShape_IsABug) {
  const auto schedule = make(GetParam(), 3);
  const SchedulerState state = schedule->initial(start());
  EXPECT_THROW((void)schedule->step(99, start(), state), InternalError);
  EXPECT_THROW((void)schedule->step(-1, start(), state), InternalError);
  EXPECT_THROW((void)schedule->step(0, start().unsqueeze(0), state), InternalError);
}

std::vector<std::string> scheduler_names() {
  std::vector<std::string> names;
  for (const SchedulerInfo& info : schedulers()) names.emplace_back(info.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryScheduler, testing::ValuesIn(scheduler_names()),
                         [](const auto& row) {
                           return row.param == "dpm++2m" ? std::string("dpmpp2m") : row.param;
                         });

TEST(Multistep, Step_OutOfOrder_IsABug) {
  for (const char* name : {"unipc", "dpm++2m"}) {
    const auto schedule = make(name, 5);
    EXPECT_THROW((void)schedule->step(2, start(), schedule->initial(start())), InternalError)
        << name;
  }
  const auto heun = make("heun", 5);
  EXPECT_THROW((void)heun->step(1, start(), heun->initial(start())), InternalError);
}

TEST(Euler, Tables_OfKnownModels_HaveTheirPublishedForm) {
  // HunyuanVideo, 50 steps, shift 7: s_7(1 - i/50).
  const auto hunyuan = make("euler", 50, {{"shift", 7.0}, {"sigmas", "explicit"}});
  EXPECT_NEAR(hunyuan->sigmas()[25], 7 * 0.5 / (1 + 6 * 0.5), 1e-7);
  // LTX, 7392 tokens: mu = 3.2302; the last level is stretched to 0.1.
  const Json ltx = {
      {"use_dynamic_shifting", true}, {"base_shift", 0.95},    {"max_shift", 2.05},
      {"base_image_seq_len", 1024},   {"shift_terminal", 0.1}, {"sigmas", "explicit"}};
  const auto schedule = find_scheduler("euler", kOrigin).make(ltx, kOrigin, {10, 7392});
  EXPECT_NEAR(schedule->sigmas()[9], 0.1, 1e-6);
  const auto shifted = [k = std::exp(3.2302)](double sigma) { return k / (k + 1 / sigma - 1); };
  const double stretch = 0.9 / (1 - shifted(0.1));
  EXPECT_NEAR(schedule->sigmas()[5], 1 - (1 - shifted(0.5)) * stretch, 1e-5);
}

TEST(Euler, InvertSigmas_Mochi_AscendsToOne) {
  const auto schedule = make("euler", 8, {{"invert_sigmas", true}, {"sigmas", "linear_quadratic"}});
  const auto sigmas = schedule->sigmas();
  EXPECT_EQ(sigmas.front(), 0);
  EXPECT_EQ(sigmas.back(), 1);
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) EXPECT_LT(sigmas[i], sigmas[i + 1]);
}

TEST(DynamicShift, Multistep_ExponentialAndLinear_AreStaticShiftsOfTheSameSize) {
  const double mu = std::log(3.0);
  for (const char* name : {"unipc", "dpm++2m"}) {
    const auto expected = make(name, 9, {{"shift", 3.0}});
    const Json exponential = {
        {"use_dynamic_shifting", true}, {"base_shift", mu}, {"max_shift", mu}};
    const Json linear = {{"use_dynamic_shifting", true},
                         {"base_shift", 3.0},
                         {"max_shift", 3.0},
                         {"time_shift_type", "linear"}};
    for (const Json& config : {exponential, linear}) {
      const auto schedule = make(name, 9, config);
      for (std::size_t i = 0; i < 9; ++i) {
        EXPECT_NEAR(schedule->sigmas()[i], expected->sigmas()[i], 1e-7) << name << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace bw
