// What each calibration makes of features written by hand, worked out on paper.
#include "run/calibration.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "base/error.h"
#include "cache/calibrated_table.h"
#include "run/calibrate.h"
#include "run/generate.h"
#include "run/polynomial_fit.h"
#include "run/resolve.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

constexpr Branch kCond = Branch::kCond;

class CalibrationOf : public ::testing::Test {
 protected:
  void make(const std::string& cache, std::int64_t steps, double guidance = 1) {
    Request request;
    request.add_config({{"prompt", "a fox"},
                        {"threads", 1},
                        {"steps", steps},
                        {"guidance_scale", guidance},
                        {"cache", cache}},
                       Origin::file("c.json: "));
    calibration_ = make_calibration(resolve(request, manifest_), manifest_);
  }

  // One stream [1,N,D], or a prediction, of a step.
  void show(CacheKey key, std::int64_t step, const at::Tensor& value, bool guided = false) {
    EvaluationContext context;
    context.index = context.step = step;
    context.guided = guided;
    calibration_->recorder()->record(key, context, {value});
  }
  static at::Tensor tokens(const std::vector<double>& values, std::int64_t width = 1) {
    return at::tensor(values, at::kDouble).reshape({1, -1, width});
  }

  void finish_clip(const Calibration::Rerun& rerun = {}) {
    calibration_->finish_clip(at::ones({1, 1, 1, 1, 2}), rerun);
  }
  std::string param(const char* name) const {
    return calibration_->result().params.at(name).get<std::string>();
  }

  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  std::unique_ptr<Calibration> calibration_;
};

TEST_F(CalibrationOf, Magcache_IsTheMeanOfTheTokensRatios) {
  make("magcache", 3);
  EXPECT_TRUE(calibration_->recorder()->parts().stack);
  // Norms 5 and 2, then 3 and 1: 0.6 and 0.5; then 6 and 1: 2 and 1.
  show({.slot = Slot::kStack}, 0, tokens({3, 4, 0, 2}, 2));
  show({.slot = Slot::kStack}, 1, tokens({3, 0, 0, 1}, 2));
  show({.slot = Slot::kStack}, 2, tokens({0, 6, 1, 0}, 2));
  finish_clip();
  EXPECT_EQ(param("ratios"), "cond:-;0.55;1.5");
}

TEST_F(CalibrationOf, Magcache_BranchesAreApart_ClipsAreAveraged) {
  make("magcache", 2, 4);
  for (const double second : {1.0, 3.0}) {  // of two clips
    for (const Branch branch : kBranches) {
      const double factor = branch == kCond ? 1 : 2;
      show({.slot = Slot::kStack, .branch = branch}, 0, tokens({1}), true);
      show({.slot = Slot::kStack, .branch = branch}, 1, tokens({second * factor}), true);
    }
    finish_clip();
  }
  EXPECT_EQ(param("ratios"), "cond:-;2/uncond:-;4");
}

TEST_F(CalibrationOf, Smoothcache_ComparesWithTheNewerStep_PerKindOfStage) {
  make("smoothcache:max_lag=2", 3);
  const auto stage = [](std::size_t block, std::size_t index) {
    return CacheKey{.slot = Slot::kStage, .block = block, .stage = index};
  };
  // Self-attention of block 0: (1 + 1) / 2 from 0 to 1, 2 / 4 from 1 to 2, (3 + 1) / 4 from 0 to 2.
  show(stage(0, 0), 0, tokens({1, 1}));
  show(stage(0, 0), 1, tokens({2, 0}));
  show(stage(0, 0), 2, tokens({4, 0}));
  // Of block 1 nothing changes, so the kind has half of that; its feed-forward doubles.
  for (std::int64_t step = 0; step < 3; ++step) show(stage(1, 0), step, tokens({1}));
  for (std::int64_t step = 0; step < 3; ++step)
    show(stage(1, 2), step, tokens({1.0 * (1 << step)}));
  finish_clip();
  EXPECT_EQ(param("errors"),
            "cross_attention.1:-;-/cross_attention.2:-/feed_forward.1:0.5;0.5/feed_forward.2:0.75/"
            "self_attention.1:0.5;0.25/self_attention.2:0.5");
}

TEST_F(CalibrationOf, Blockcaching_ComparesWithTheNewerStep_PerBlock) {
  make("blockcaching", 3);
  const CacheKey second = {.slot = Slot::kBlock, .block = 1};
  show(second, 0, tokens({1, 1}));
  show(second, 1, tokens({2, 0}));
  show(second, 2, tokens({4, 0}));
  finish_clip();
  EXPECT_EQ(param("changes"), "0.0:-;-;-/0.1:-;1;0.5/0.2:-;-;-");
}

TEST_F(CalibrationOf, Blockcaching_FitsALineThroughWhatWasHeld) {
  make("blockcaching:correction=scale_shift,max_lag=2", 3);
  const auto values = [](const std::vector<double>& list) { return tokens(list).to(at::kFloat); };
  const CacheKey first = {.slot = Slot::kBlock};
  // Step 1 is 2 · step 0 + 1. Step 2 against step 1: means 5 and 3, deviations ±2 and ±1: 0.5 and
  // 0.5; against step 0: 1 and 1.
  for (int clip = 0; clip < 2; ++clip) {
    show(first, 0, values({1, 3}));
    show(first, 1, values({3, 7}));
    show(first, 2, values({2, 4}));
    finish_clip();
  }
  EXPECT_THAT(param("corrections"),
              ::testing::StartsWith("0.0.1.scale:-;2;0.5/0.0.1.shift:-;1;0.5/"
                                    "0.0.2.scale:-;-;1/0.0.2.shift:-;-;1/0.1.1.scale:-;-;-"));
  make("blockcaching", 3);
  EXPECT_EQ(param("corrections"), "");
}

// What every block added, by step.
class BlockRecords final : public FeatureRecorder {
 public:
  BlockRecords() { parts_.blocks = true; }
  const RecordedParts& parts() const override { return parts_; }
  void record(const CacheKey& key, const EvaluationContext&, const Hidden& value) override {
    values[key].push_back(value.front().to(at::kDouble, false, /*copy=*/true));
  }
  std::map<CacheKey, std::vector<at::Tensor>> values;

 private:
  RecordedParts parts_;
};

// Fitted to one clip, the correction must help another.
TEST_F(CalibrationOf, Blockcaching_CorrectionHelpsAClipThatItNeverSaw) {
  make("blockcaching:correction=scale_shift", 8, 4);
  const auto run = [&](const char* prompt, std::int64_t seed, FeatureRecorder* recorder) {
    Request request;
    request.add_config({{"prompt", prompt},
                        {"seed", seed},
                        {"threads", 1},
                        {"dtype", "float32"},
                        {"steps", 8},
                        {"guidance_scale", 4},
                        {"cache", "none"}},
                       Origin::file("c.json: "));
    const Plan plan = resolve(request, manifest_);
    testing::QuietObserver observer;
    (void)denoise(*load_model(plan, manifest_), plan, observer, recorder);
  };
  run("a fox", 1, calibration_->recorder());
  finish_clip();
  BlockRecords seen;
  run("two boats at sea", 2, &seen);
  const CalibratedTable table =
      CalibratedTable::parse(param("corrections"), Origin::file("c.json: "));
  for (std::size_t lag = 1; lag <= 4; ++lag) {
    double held = 0;
    double corrected = 0;
    for (const auto& [key, steps] : seen.values) {
      const std::string row = "0." + std::to_string(key.block) + "." + std::to_string(lag);
      for (std::size_t step = lag; step < steps.size(); ++step) {
        const at::Tensor& kept = steps[step - lag];
        const double scale = table.find(row + ".scale")->at(step);
        const double shift = table.find(row + ".shift")->at(step);
        held += (kept - steps[step]).square().sum().item<double>();
        corrected += (kept * scale + shift - steps[step]).square().sum().item<double>();
      }
    }
    // One to four per cent less, on this model of random weights.
    EXPECT_LT(corrected, held) << "lag " << lag;
  }
}

TEST_F(CalibrationOf, Teacache_FindsThePolynomialBehindTheChanges) {
  make("teacache", 8);
  double input = 1;
  double output = 1;
  for (std::int64_t step = 0; step < 8; ++step) {
    const double change = 0.05 * static_cast<double>(step);
    input *= 1 + change;
    output *= 1 + change * change + 0.5 * change;
    show({.slot = Slot::kSignal}, step, tokens({input}));
    show({.slot = Slot::kSignal, .branch = Branch::kUncond}, step, tokens({9}));
    show({.slot = Slot::kStack}, step, tokens({output}));
  }
  finish_clip();
  std::vector<double> polynomial;
  std::istringstream parts(param("polynomial"));
  for (std::string part; std::getline(parts, part, ';');) polynomial.push_back(std::stod(part));
  ASSERT_EQ(polynomial.size(), 5U);
  for (const double change : {0.05, 0.2, 0.35}) {
    EXPECT_NEAR(polynomial_value(polynomial, change), change * change + 0.5 * change, 1e-6);
  }
  EXPECT_THAT(calibration_->result().notes[1], ::testing::HasSubstr("fitted to 7 steps"));
}

TEST_F(CalibrationOf, Lemica_RunsEveryStretchOnce) {
  make("lemica:max_lag=3", 4);
  EXPECT_EQ(calibration_->num_reruns(), 3 + 2);
  std::vector<std::string> stretches;
  finish_clip([&](const CachePlan& cache) {
    EXPECT_EQ(cache.policy, "static");
    EXPECT_EQ(cache.params.at("site"), "stack");
    stretches.push_back(cache.params.at("steps"));
    return at::ones({1, 1, 1, 1, 2}) * (1 + 0.125 * static_cast<double>(stretches.size()));
  });
  EXPECT_THAT(stretches, ::testing::ElementsAre("1-1", "2-2", "3-3", "1-2", "2-3"));
  EXPECT_EQ(param("errors"), "1:0;0;0;0/2:0.125;0.25;0.375/3:0.5;0.625");
}

TEST_F(CalibrationOf, Bac_UpdatesWhereTheFeaturesTurn) {
  make("bac:updates=2", 4);
  const CacheKey feed_forward = {.slot = Slot::kStage, .block = 1, .stage = 2};
  const auto draw = [](std::uint64_t seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return at::randn({1, 40, 300}, generator, at::kFloat);
  };
  const at::Tensor first = draw(1);
  const at::Tensor second = draw(2);
  for (std::int64_t step = 0; step < 4; ++step) {
    show(feed_forward, step, (step < 3 ? first : second) * (1.0 + 0.1 * static_cast<double>(step)));
  }
  finish_clip();
  const CalibrationResult found = calibration_->result();
  EXPECT_EQ(found.params["schedule"], "0.1.feed_forward:0;3");
  EXPECT_EQ(found.identity.at("updates"), "2");
  // The mean over 16 pairs of the distances between 1, 1.1, 1.2 times a vector of length
  // √12000 and 1.3 times another at right angles.
  const double length = std::sqrt(40 * 300.0);
  const double apart = std::hypot(1, 1.3) + std::hypot(1.1, 1.3) + std::hypot(1.2, 1.3);
  const double expected = length * 2 * (0.1 + 0.2 + 0.1 + apart) / 16;
  const std::string losses = found.params["losses"];
  ASSERT_THAT(losses, ::testing::StartsWith("0.1.feed_forward:"));
  EXPECT_NEAR(std::stod(losses.substr(17)), expected, 0.05 * expected) << "of a projection";
}

TEST_F(CalibrationOf, Taocache_IsCosineTimesRatioOfTheDifferences) {
  make("taocache", 4, 2);
  const std::vector<std::vector<double>> guided = {{0, 0}, {1, 0}, {1.5, 0}, {2, 2}};
  for (std::int64_t step = 0; step < 4; ++step) {
    const at::Tensor cond = at::tensor(guided[static_cast<std::size_t>(step)], at::kDouble) + 1;
    // Guided by 2: uncond + 2 · (cond − uncond) is that of the table with an uncond of 2 + table.
    const at::Tensor uncond =
        2 * cond - at::tensor(guided[static_cast<std::size_t>(step)], at::kDouble);
    show({.slot = Slot::kBranch}, step, cond.reshape({1, 1, 1, 1, 2}), true);
    show({.slot = Slot::kBranch, .branch = Branch::kUncond}, step, uncond.reshape({1, 1, 1, 1, 2}),
         true);
  }
  finish_clip();
  // Step 2: (0.5, 0) continues (1, 0) by 0.5. Step 3: (0.5, 2) has the inner product 0.25 with
  // (0.5, 0), whose square is 0.25: 1; with (1.5, 0) it is 0.75 of 2.25: a third.
  EXPECT_EQ(param("weights"), "1:-;-;0.5;1/2:-;-;-;0.33333");
}

TEST_F(CalibrationOf, Meancache_FindsTheBestSpanOfEveryEdge) {
  make("meancache:max_lag=3", 4);
  EXPECT_TRUE(calibration_->recorder()->parts().latents);
  const std::vector<double> v = {4, 8, 9, 1};
  double z = 0;
  for (std::size_t step = 0; step < v.size(); ++step) {
    EvaluationContext context;
    context.index = context.step = static_cast<std::int64_t>(step);
    context.sigma = 1 - 0.25 * static_cast<double>(step);
    const auto whole = [](double value) { return at::full({1, 1, 1, 1, 2}, value, at::kFloat); };
    calibration_->recorder()->record({.slot = Slot::kLatents}, context, {whole(z)});
    calibration_->recorder()->record({.slot = Slot::kBranch}, context, {whole(v[step])});
    z -= 0.25 * v[step];
  }
  finish_clip();
  // 0 → 2: 4 is held for 8, so 8 stands for 12. 1 → 3: 8 held for 9 would be 16 for 17, but over
  // two steps the mean was 6 where the velocity was 4: J = (4 − 6) / −0.5 = 4, 8 + 4 · 0.25 = 9.
  // 0 → 3: 4 is held twice, 12 for 21.
  EXPECT_EQ(param("errors"), "2:0.33333;0/2.span:1;2/3:0.42857/3.span:1");
}

TEST_F(CalibrationOf, PolicyWithoutOne_NamesThoseThatHave) {
  EXPECT_THAT([&] { make("bwcache", 8); },
              ::testing::ThrowsMessage<UsageError>(
                  ::testing::AllOf(::testing::HasSubstr("'bwcache' needs no calibration"),
                                   ::testing::HasSubstr("magcache, smoothcache"))));
}

TEST_F(CalibrationOf, TooFewSteps_SaysHowManyAndWhy) {
  for (const CalibrationInfo& info : calibrations()) {
    SCOPED_TRACE(info.policy);
    if (info.policy == "bac") continue;  // as many as its updates
    EXPECT_THAT([&] { make(std::string(info.policy), 1); },
                ::testing::ThrowsMessage<UsageError>(::testing::AllOf(
                    ::testing::HasSubstr("--steps"), ::testing::HasSubstr("needs at least"))));
  }
  EXPECT_THAT([&] { make("bac:updates=9", 8); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("at least 9 steps")));
}

TEST(Calibrations_Table, EveryPolicyWithATable_HasOne) {
  for (const CachePolicyInfo& policy : cache_policies()) {
    if (policy.table.empty()) continue;
    const auto all = calibrations();
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const CalibrationInfo& info) {
      return info.policy == policy.name;
    })) << policy.name;
  }
}

}  // namespace
}  // namespace bw
