// Whole trajectories of diffusers' schedulers on an analytic velocity
// (models/reference/schedulers.py, which says where diffusers itself rounds to float32; hence the
// tolerance stored with each case).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "schedule/scheduler.h"

namespace bw {
namespace {

const Origin kOrigin = Origin::file("golden");

Json load_cases() {
  return read_json_file(std::filesystem::path(BW_TEST_DATA) / "golden" /
                        "schedulers.json")["cases"];
}

at::Tensor row(const Json& values) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble);
}

at::Tensor velocity(const at::Tensor& x, double sigma) {
  return 0.7 * at::sin(1.3 * x + 2.0 * sigma) + 0.3 * std::cos(sigma) * x;
}

// The case's configuration, with what its pipeline passes to set_timesteps under our keys. mu is
// passed by making the line from the number of tokens to mu constant. LTX's levels linspace(1, 1/n,
// n) are 1 - i/n, the explicit ones.
Json config_of(const Json& golden) {
  Json config = golden["config"];
  const Json& call = golden["call"];
  if (call.contains("sigmas")) {
    config["sigmas"] = call["sigmas"] == "mochi" ? "linear_quadratic" : "explicit";
  }
  if (call.contains("mu")) config["base_shift"] = config["max_shift"] = call["mu"];
  return config;
}

std::string name_of(const Json& golden) {
  return golden["config"].dump() + golden["call"].dump() + " steps " + golden["steps"].dump();
}

class DiffusersGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (const Json& golden : load_cases()) {
      if (golden["class"] == GetParam()) cases_.push_back(golden);
    }
    ASSERT_GE(cases_.size(), 12U);
  }

  static std::unique_ptr<Schedule> make(const Json& golden) {
    return find_scheduler(GetParam(), kOrigin)
        .make(config_of(golden), kOrigin, {golden["steps"].get<std::int64_t>(), 1024});
  }

  std::vector<Json> cases_;
};

TEST_P(DiffusersGolden, Tables_AnyVariant_EqualInFloat32) {
  for (const Json& golden : cases_) {
    SCOPED_TRACE(name_of(golden));
    const auto schedule = make(golden);
    const auto evaluations = schedule->evaluations();
    ASSERT_EQ(evaluations.size(), golden["timesteps"].size());
    ASSERT_EQ(golden["sigmas"].size(), evaluations.size() + 1);
    for (std::size_t i = 0; i < evaluations.size(); ++i) {
      // The file keeps twelve digits of float32 values: enough to tell neighbours apart.
      EXPECT_EQ(evaluations[i].sigma, golden["sigmas"][i].get<float>()) << i;
      EXPECT_EQ(static_cast<float>(evaluations[i].timestep), golden["timesteps"][i].get<float>())
          << i;
    }
    EXPECT_EQ(schedule->sigmas().back(), golden["sigmas"].back().get<double>());
  }
}

TEST_P(DiffusersGolden, Trajectory_AnalyticVelocity_WithinTolerance) {
  double worst = 0;
  for (const Json& golden : cases_) {
    SCOPED_TRACE(name_of(golden));
    const auto schedule = make(golden);
    SchedulerState state = schedule->initial(row(golden["x0"]));
    double worst_of_case = 0;
    for (const Evaluation& evaluation : schedule->evaluations()) {
      const auto i = static_cast<std::size_t>(evaluation.index);
      const at::Tensor input = schedule->model_input(evaluation.index, state);
      state = schedule->step(evaluation.index, velocity(input, evaluation.sigma), std::move(state));
      const double error = (state.sample - row(golden["states"][i])).abs().max().item<double>();
      if (error > worst_of_case) worst_of_case = error;
      ASSERT_LE(error, golden["tolerance"].get<double>())
          << "after evaluation " << i << ": " << state.sample << " instead of "
          << golden["states"][i];
    }
    worst = std::max(worst, worst_of_case);
  }
  RecordProperty("worst_absolute_error", std::to_string(worst * 1e9) + "e-9");
}

INSTANTIATE_TEST_SUITE_P(Classes, DiffusersGolden,
                         testing::Values("FlowMatchEulerDiscreteScheduler",
                                         "FlowMatchHeunDiscreteScheduler",
                                         "UniPCMultistepScheduler", "DPMSolverMultistepScheduler"),
                         [](const auto& row) { return std::string(row.param); });

}  // namespace
}  // namespace bw
