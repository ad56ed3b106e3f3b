// Configuration of the schedulers: what is taken, what is refused and in which words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "schedule/scheduler.h"

namespace bw {
namespace {

using testing::HasSubstr;

const Origin kOrigin = Origin::file("model.json: scheduler");

std::unique_ptr<Schedule> make(std::string_view name, const Json& config, std::int64_t steps = 8) {
  return find_scheduler(name, kOrigin).make(config, kOrigin, {steps, 4096});
}

std::vector<double> sigmas_of(std::string_view name, const Json& config) {
  const auto schedule = make(name, config);
  return {schedule->sigmas().begin(), schedule->sigmas().end()};
}

struct Refusal {
  const char* reason;
  const char* scheduler;
  const char* config;
  std::vector<std::string> says;
  std::int64_t steps = 8;
};

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> rows = {
      {"a typo gets the nearest key",
       "euler",
       R"({"shfit": 3})",
       {"scheduler.shfit", "unknown key", "'shift'"}},
      {"also when the nearest key has only one value",
       "unipc",
       R"({"use_karas_sigmas": true})",
       {"scheduler.use_karas_sigmas", "'use_karras_sigmas'"}},
      {"a key of another class is unknown", "heun", R"({"solver_order": 2})", {"solver_order"}},
      {"an unknown key is not excused by null", "euler", R"({"shfit": null})", {"shfit"}},
      {"not an object", "euler", "[1]", {"must be an object", "a list"}},
      {"shift of zero", "euler", R"({"shift": 0})", {"scheduler.shift", "0"}},
      {"negative shift, under the name it was given",
       "unipc",
       R"({"flow_shift": -1})",
       {"scheduler.flow_shift", "-1"}},
      {"shift is text", "euler", R"({"shift": "much"})", {"scheduler.shift", "much"}},
      {"both names of the shift",
       "unipc",
       R"({"shift": 3, "flow_shift": 5})",
       {"scheduler.flow_shift", "another name of shift"}},
      {"no training steps", "euler", R"({"num_train_timesteps": 0})", {"num_train_timesteps", "0"}},
      {"fraction of a training step",
       "euler",
       R"({"num_train_timesteps": 10.5})",
       {"num_train_timesteps", "integer"}},
      {"terminal level of one", "euler", R"({"shift_terminal": 1})", {"shift_terminal", "1"}},
      {"terminal level in one step",
       "euler",
       R"({"shift_terminal": 0.1, "sigmas": "explicit"})",
       {"shift_terminal", "more steps"},
       1},
      {"linear-quadratic in one step",
       "euler",
       R"({"sigmas": "linear_quadratic"})",
       {"sigmas", "at least 2 steps"},
       1},
      {"unknown table", "euler", R"({"sigmas": "explict"})", {"scheduler.sigmas", "'explicit'"}},
      {"unknown time shift",
       "euler",
       R"({"time_shift_type": "cosine"})",
       {"time_shift_type", "cosine"}},
      {"a line needs two points",
       "euler",
       R"({"base_image_seq_len": 4096})",
       {"max_image_seq_len", "4096"}},
      {"a linear mu below zero",
       "euler",
       R"({"use_dynamic_shifting": true, "time_shift_type": "linear", "base_shift": -1, "max_shift": -1})",
       {"use_dynamic_shifting", "-1", "4096 tokens"}},
      {"mu so large that all levels are 1",
       "euler",
       R"({"use_dynamic_shifting": true, "base_shift": 60, "max_shift": 60})",
       {"use_dynamic_shifting", "fewer steps"}},
      {"shift so large that levels coincide",
       "unipc",
       R"({"shift": 1000000})",
       {"scheduler.shift", "1000000", "noise levels"},
       900},
      {"levels of another kind",
       "euler",
       R"({"use_karras_sigmas": true})",
       {"use_karras_sigmas", "true", "use false"}},
      {"noise added in every step",
       "euler",
       R"({"stochastic_sampling": true})",
       {"stochastic_sampling", "true"}},
      {"epsilon",
       "unipc",
       R"({"prediction_type": "epsilon"})",
       {"prediction_type", "epsilon", "flow_prediction"}},
      {"not flow", "dpm++2m", R"({"use_flow_sigmas": false})", {"use_flow_sigmas", "false"}},
      {"order beyond what is built", "unipc", R"({"solver_order": 3})", {"solver_order", "3"}},
      {"order beyond what is built", "dpm++2m", R"({"solver_order": 3})", {"solver_order", "3"}},
      {"another B(h)", "unipc", R"({"solver_type": "bh1"})", {"solver_type", "bh1", "bh2"}},
      {"another form",
       "dpm++2m",
       R"({"solver_type": "heun"})",
       {"solver_type", "heun", "midpoint"}},
      {"noise is predicted", "unipc", R"({"predict_x0": false})", {"predict_x0", "false"}},
      {"second order to level 0",
       "unipc",
       R"({"lower_order_final": false})",
       {"lower_order_final"}},
      {"ends with noise", "unipc", R"({"final_sigmas_type": "sigma_min"})", {"final_sigmas_type"}},
      {"stochastic solver",
       "dpm++2m",
       R"({"algorithm_type": "sde-dpmsolver++"})",
       {"algorithm_type", "sde-dpmsolver++"}},
      {"corrector left out",
       "unipc",
       R"({"disable_corrector": [0]})",
       {"disable_corrector", "[0]"}},
      {"clipping", "dpm++2m", R"({"thresholding": true})", {"thresholding"}},
      {"time that runs backwards", "unipc", R"({"invert_sigmas": true})", {"invert_sigmas"}},
      {"another class",
       "heun",
       R"({"_class_name": "FlowMatchEulerDiscreteScheduler"})",
       {"_class_name", "FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"}},
  };
  return rows;
}

TEST(SchedulerConfig, RefusedValues_Table_NameKeyAndValue) {
  for (const Refusal& row : refusals()) {
    SCOPED_TRACE(row.reason);
    try {
      (void)make(row.scheduler, parse_json(row.config, kOrigin), row.steps);
      ADD_FAILURE() << "accepted " << row.config;
    } catch (const InputError& error) {
      for (const std::string& part : row.says) EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
}

TEST(SchedulerConfig, FlagAsOrigin_WrongValue_IsAUsageError) {
  const auto& info = find_scheduler("euler", kOrigin);
  EXPECT_THROW((void)info.make({{"shift", -1}}, Origin::flag("--flow-shift"), {8, 0}), UsageError);
}

TEST(SchedulerConfig, FilesOfDiffusers_AsWritten_AreAccepted) {
  // What save_pretrained writes for Wan, all keys and nulls included.
  const Json wan = parse_json(R"({
    "_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.33.0.dev0",
    "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001, "disable_corrector": [],
    "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": 3.0,
    "lower_order_final": true, "num_train_timesteps": 1000, "predict_x0": true,
    "prediction_type": "flow_prediction", "rescale_betas_zero_snr": false, "sample_max_value": 1.0,
    "solver_order": 2, "solver_p": null, "solver_type": "bh2", "steps_offset": 0,
    "thresholding": false, "timestep_spacing": "linspace", "trained_betas": null,
    "use_beta_sigmas": false, "use_exponential_sigmas": false, "use_flow_sigmas": true,
    "use_karras_sigmas": false})",
                              kOrigin);
  EXPECT_EQ(sigmas_of("unipc", wan), sigmas_of("unipc", {{"shift", 3.0}}));
  const Json ltx = parse_json(R"({
    "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.32.0.dev0",
    "base_image_seq_len": 1024, "base_shift": 0.95, "invert_sigmas": false,
    "max_image_seq_len": 4096, "max_shift": 2.05, "num_train_timesteps": 1000, "shift": 1.0,
    "shift_terminal": null, "use_beta_sigmas": false, "use_dynamic_shifting": true,
    "use_exponential_sigmas": false, "use_karras_sigmas": false})",
                              kOrigin);
  EXPECT_EQ(sigmas_of("euler", ltx).size(), 9U);
}

TEST(SchedulerConfig, FlowShift_EveryScheduler_IsAnotherNameOfShift) {
  for (const SchedulerInfo& info : schedulers()) {
    EXPECT_EQ(sigmas_of(info.name, {{"flow_shift", 5.0}}), sigmas_of(info.name, {{"shift", 5.0}}));
    EXPECT_NE(sigmas_of(info.name, {{"shift", 5.0}}), sigmas_of(info.name, Json::object()));
  }
}

TEST(SchedulerConfig, NullShift_BesideItsOtherName_IsUnset) {
  const std::vector<double> expected = sigmas_of("unipc", {{"shift", 5.0}});
  EXPECT_EQ(sigmas_of("unipc", {{"shift", 5.0}, {"flow_shift", nullptr}}), expected);
  EXPECT_EQ(sigmas_of("unipc", {{"shift", nullptr}, {"flow_shift", 5.0}}), expected);
}

TEST(SchedulerConfig, WithShift_AnyFormerShift_IsReplaced) {
  const Json former = {{"use_dynamic_shifting", true}, {"flow_shift", 2.0}};
  for (const SchedulerInfo& info : schedulers()) {
    EXPECT_EQ(sigmas_of(info.name, with_shift(former, 5.0)),
              sigmas_of(info.name, {{"shift", 5.0}}));
  }
}

TEST(ConfigFor, SameClass_Unchanged) {
  const Json config = {{"_class_name", "UniPCMultistepScheduler"}, {"solver_order", 1}};
  EXPECT_EQ(config_for(find_scheduler("unipc", kOrigin), config), config);
}

TEST(ConfigFor, EveryPairOfSchedulers_KeepsTheShiftAndIsAccepted) {
  for (const SchedulerInfo& from : schedulers()) {
    const Json bundle = {{"_class_name", std::string(from.class_name)},
                         {"flow_shift", 3.0},
                         {"num_train_timesteps", 1000},
                         {"prediction_type", "flow_prediction"}};
    for (const SchedulerInfo& to : schedulers()) {
      SCOPED_TRACE(std::string(from.name) + " to " + std::string(to.name));
      EXPECT_EQ(sigmas_of(to.name, config_for(to, bundle)), sigmas_of(to.name, {{"shift", 3.0}}));
    }
  }
}

TEST(ConfigFor, SettingsOfTheBundlesSolver_AreLeftOut) {
  const Json bundle = {{"_class_name", "UniPCMultistepScheduler"},
                       {"solver_order", 1},
                       {"solver_type", "bh2"},
                       {"use_flow_sigmas", true},
                       {"flow_shift", 3.0}};
  const Json expected = {{"_class_name", "DPMSolverMultistepScheduler"}, {"shift", 3.0}};
  EXPECT_EQ(config_for(find_scheduler("dpm++2m", kOrigin), bundle), expected);
}

TEST(ConfigFor, TableOfTheBundle_IsCarriedWhereItHasAMeaning) {
  const Json bundle = {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                       {"shift", 3.0},
                       {"shift_terminal", nullptr},
                       {"sigmas", "explicit"}};
  EXPECT_EQ(config_for(find_scheduler("heun", kOrigin), bundle).value("sigmas", ""), "explicit");
  EXPECT_EQ(config_for(find_scheduler("unipc", kOrigin), bundle).value("sigmas", ""), "explicit");
  EXPECT_FALSE(config_for(find_scheduler("dpm++2m", kOrigin), bundle).contains("sigmas"));
}

TEST(FindScheduler, NameOrClass_FindsTheRow) {
  for (const SchedulerInfo& info : schedulers()) {
    EXPECT_EQ(&find_scheduler(info.name, kOrigin), &info);
    EXPECT_EQ(&find_scheduler(info.class_name, kOrigin), &info);
    EXPECT_FALSE(info.summary.empty());
    EXPECT_FALSE(info.params.empty());
  }
}

TEST(FindScheduler, Unknown_NamesTheNearest) {
  try {
    (void)find_scheduler("uni-pc", Origin::flag("--sampler"));
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--sampler"));
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'unipc'"));
  }
}

TEST(CheckPredictionType, Mismatch_NamesBothTypes) {
  const SchedulerInfo& info = find_scheduler("unipc", kOrigin);
  EXPECT_NO_THROW(check_prediction_type(info, "flow_prediction", kOrigin));
  try {
    check_prediction_type(info, "epsilon", kOrigin);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'epsilon'"));
    EXPECT_THAT(error.what(), HasSubstr("flow_prediction"));
  }
}

}  // namespace
}  // namespace bw
