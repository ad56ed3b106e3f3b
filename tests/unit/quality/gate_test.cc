// Gates: reading, refusing, and which values hold.
#include "quality/gate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace bw {
namespace {

const Origin& here() {
  static const Origin kHere = Origin::file("gates.json: ");
  return kHere;
}

std::vector<Gate> read(const char* text) { return gates_from_json(Json::parse(text), here()); }

MetricResult result_of(std::string_view name, std::vector<double> values) {
  return summarize(find_metric(name, here()), std::move(values));
}

std::vector<std::string> messages(const char* gates, const MetricResult& result) {
  std::vector<std::string> texts;
  for (const GateViolation& violation : check_gates(read(gates), {&result, 1}, "fox.mp4")) {
    texts.push_back(violation.message);
  }
  return texts;
}

TEST(GatesFromJson, EveryLimit_IsAGate) {
  const std::vector<Gate> gates =
      read(R"({"psnr": {"mean": {"min": 30}, "p10": {"min": 25}}, "ssim": {"worst": {"max": 1}}})");
  ASSERT_EQ(gates.size(), 3U);
  EXPECT_EQ(describe(gates[0]), "psnr mean >= 30");
  EXPECT_EQ(describe(gates[1]), "psnr p10 >= 25");
  EXPECT_EQ(describe(gates[2]), "ssim worst <= 1");
  EXPECT_EQ(describe(read(R"({"ssim": {"mean": {"min": 0.5, "max": 0.75}}})").front()),
            "ssim mean in [0.5, 0.75]");
}

TEST(GatesFromJson, WrongFile_NamesThePath) {
  struct Row {
    const char* json;
    const char* message;
  };
  const std::vector<Row> rows = {
      {R"({"pnsr": {"mean": {"min": 30}}})",
       "gates.json: pnsr: unknown metric 'pnsr'; did you mean 'psnr'"},
      {R"({"psnr": {"meen": {"min": 30}}})",
       "gates.json: psnr.meen: unknown statistic; did you mean 'mean'"},
      {R"({"psnr": {"mean": {"mn": 30}}})", "gates.json: psnr.mean.mn: unknown key"},
      {R"({"psnr": {"mean": {"min": "30"}}})", "gates.json: psnr.mean.min: must be a number"},
      {R"({"psnr": {"mean": {}}})", "gates.json: psnr.mean: has neither"},
      {R"({"psnr": {"mean": 30}})", "gates.json: psnr.mean: must be an object"},
      {R"({"psnr": {}})", "gates.json: psnr: has no limit"},
      {R"({"psnr": {"mean": {"min": 30, "max": 20}}})", "min 30 is above max 20"},
      {R"({})", "gates.json: holds no gate"},
      {R"([])", "gates.json: must be an object, got a list"},
  };
  for (const Row& row : rows) {
    try {
      std::ignore = read(row.json);
      ADD_FAILURE() << row.json;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos)
          << row.json << ": " << error.what();
    }
  }
}

TEST(CheckGates, LimitsThemselves_Hold) {
  const MetricResult psnr = result_of("psnr", {30, 40});
  EXPECT_TRUE(messages(R"({"psnr": {"mean": {"min": 35, "max": 35}}})", psnr).empty());
  EXPECT_TRUE(messages(R"({"psnr": {"worst": {"min": 30}}})", psnr).empty());
}

TEST(CheckGates, Violation_SaysStatisticValueLimitAndFrame) {
  const MetricResult psnr = result_of("psnr", {40, 20, 39});
  EXPECT_EQ(messages(R"({"psnr": {"mean": {"min": 35}, "worst": {"min": 25}}})", psnr),
            (std::vector<std::string>{
                "fox.mp4: psnr mean is 33 dB, below the lowest allowed, 35 dB (worst: frame 1 with "
                "20)",
                "fox.mp4: psnr worst is 20 dB, below the lowest allowed, 25 dB (frame 1)"}));
  EXPECT_EQ(messages(R"({"psnr": {"p10": {"max": 10}}})", psnr),
            (std::vector<std::string>{"fox.mp4: psnr p10 is 20 dB, above the highest allowed, 10 "
                                      "dB (worst: frame 1 with 20)"}));
}

TEST(CheckGates, ValuesThatAreNoNumbers_NeverHold) {
  MetricResult psnr = result_of("psnr", {30});
  psnr.mean = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(messages(R"({"psnr": {"mean": {"min": 0}}})", psnr).size(), 1U);
  EXPECT_EQ(messages(R"({"psnr": {"mean": {"max": 0}}})", psnr).size(), 1U);
}

TEST(CheckGates, GateOnWhatWasNotMeasured_IsABug) {
  EXPECT_THROW(messages(R"({"ssim": {"mean": {"min": 0}}})", result_of("psnr", {30})),
               InternalError);
}

TEST(AddGatedMetrics, MissingOnes_AreAddedOnce) {
  std::vector<MetricInfo> chosen = {find_metric("ssim", here())};
  add_gated_metrics(chosen, read(R"({"psnr": {"mean": {"min": 1}, "p10": {"min": 1}},
                                     "ssim": {"mean": {"min": 0}}})"));
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[1].name, "psnr");
}

}  // namespace
}  // namespace bw
