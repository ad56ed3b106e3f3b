// The search on the tiny bundle: forecasts agree with runs, targets are met or refused, interrupted
// work goes on.
#include "run/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "kernels/simd.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "run/tune_points.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

class Tune : public ::testing::Test {
 protected:
  Tune() {
    setup_.base = plan();
    setup_.clips = {{"a red fox", 1}, {"a boat", 2}};
    const CachePolicyInfo& bwcache = find_cache_policy("bwcache", Origin::flag("--cache"));
    setup_.axes = {parse_tune_axis("threshold=auto", bwcache),
                   parse_tune_axis("reuse_interval=1,2,3", bwcache),
                   parse_tune_axis("rebuild=output,residual", bwcache)};
    setup_.repeat = 1;
    setup_.base.model.int8_variant = has_int8_products();
    model_ = load_model(setup_.base, manifest_);
  }
  Plan plan() const {
    Request request;
    const Json config = {{"prompt", "a fox"}, {"threads", 1},      {"dtype", "float32"},
                         {"steps", 16},       {"output", "a.y4m"}, {"cache", "bwcache"}};
    request.add_config(config, Origin::file("c.json: "));
    return resolve(request, manifest_);
  }
  void record(Forecaster& forecaster, const Plan& base) {
    for (const Plan& recording : recording_plans(base, manifest_)) {
      forecaster.add(make_raw_clip(*model_, recording, observer_).report);
    }
  }
  Json run() { return tune(*model_, setup_, observer_); }

  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  std::shared_ptr<const Bundle> model_;
  TuneSetup setup_;
  testing::QuietObserver observer_;
};

TEST_F(Tune, Forecast_DecidesAsTheRun) {
  const Plan base = with_clip(plan(), "a red fox", 1);
  Forecaster forecaster(base, manifest_);
  record(forecaster, base);
  const std::vector<double> thresholds =
      forecaster.spread_thresholds(base.clip.cache, "threshold", 4);
  ASSERT_FALSE(thresholds.empty());
  for (const double threshold : thresholds) {
    Plan cached = base;
    cached.clip.cache.params["threshold"] = threshold;
    const RawClip run = make_raw_clip(*model_, cached, observer_);
    const Forecast forecast = forecaster.forecast(cached.clip.cache);
    EXPECT_NEAR(forecast.computed_fraction, 1 - run.report.cache.reused_fraction(), 1e-9);
    EXPECT_GT(forecast.speedup, 1);
    EXPECT_GT(forecast.error, 0);
  }
}

TEST_F(Tune, LongerReuse_IsForecastFasterAndWorse) {
  const Plan base = with_clip(plan(), "a red fox", 1);
  Forecaster forecaster(base, manifest_);
  record(forecaster, base);
  CachePlan cache = base.clip.cache;
  cache.params["threshold"] = 10;
  Forecast before = {1, 1, 0, ""};
  for (const char* interval : {"1", "2", "4"}) {
    cache.params["reuse_interval"] = interval;
    const Forecast now = forecaster.forecast(cache);
    EXPECT_GT(now.speedup, before.speedup) << interval;
    EXPECT_GT(now.error, before.error) << interval;
    before = now;
  }
}

// The times of a model this small are noise, so the search may find nothing; what it chooses must
// have been timed to reach the target.
TEST_F(Tune, EveryPolicyThatCanBe_IsTuned) {
  for (const CachePolicyInfo& info : cache_policies()) {
    if (info.tunable == "{}" || !info.table.empty()) continue;
    if (info.uses_int8 != nullptr && !has_int8_products()) continue;
    SCOPED_TRACE(info.name);
    setup_.base.clip.cache = {};
    setup_.base.clip.cache.policy = info.name;
    setup_.base.clip.cache.params = info.resolve(Json::object(), Origin::flag("--cache"));
    setup_.axes = default_tune_axes(info);
    setup_.share = 0.01;
    const Json result = run();
    EXPECT_TRUE(result["complete"]);
    EXPECT_FALSE(result["points"].empty());
  }
}

TEST_F(Tune, TargetSpeedup_ChoosesOnlyWhatReachesIt) {
  setup_.target.speedup = 1.2;
  const Json result = run();
  EXPECT_TRUE(result["complete"]);
  EXPECT_LT(result["evaluations"]["share"], 1);
  if (result["chosen"].is_null()) {
    EXPECT_THROW((void)tuned_config(result), GateError);
  } else {
    EXPECT_GE(result["chosen"]["timed_speedup"], 1.2);
  }
}

TEST_F(Tune, Config_SetsWhatWasChosen) {
  setup_.target.quality["psnr"] = 1;
  setup_.held_out = {{"a tree", 3}};
  const Json result = run();
  EXPECT_EQ(result["held_out"]["clips"], 1);
  const Json config = tuned_config(result);
  EXPECT_EQ(config["provenance"]["bundle"]["sha256"], manifest_.hash);
  Request request;
  request.add_config({{"prompt", "a fox"}}, Origin::file("p.json: "));
  request.add_config(config, Origin::file("best.json: "));
  EXPECT_EQ(resolve(request, manifest_).clip.cache.params, result["chosen"]["cache"]);
}

TEST_F(Tune, MinPsnr_ChoosesTheFastestThatReachesIt) {
  setup_.share = 1;
  const Json all = run();
  std::vector<std::pair<double, double>> points;  // computed fraction, PSNR
  for (const Json& point : all["points"]) {
    points.emplace_back(point["computed_fraction"], point["quality"]["psnr"]);
  }
  ASSERT_GT(points.size(), 3);
  std::sort(points.begin(), points.end(), [](auto& a, auto& b) { return a.second < b.second; });
  const double limit = points[points.size() / 2].second;
  double fastest = 1;
  for (const auto& [fraction, psnr] : points) {
    if (psnr >= limit) fastest = std::min(fastest, fraction);
  }
  setup_.target.quality["psnr"] = limit;
  const Json result = run();
  EXPECT_GE(result["chosen"]["quality"]["psnr"], limit);
  EXPECT_DOUBLE_EQ(result["chosen"]["computed_fraction"], fastest);
}

TEST_F(Tune, ImpossibleTarget_SaysTheBestReachable) {
  setup_.target.quality["psnr"] = 99.9;
  const Json result = run();
  EXPECT_TRUE(result["chosen"].is_null());
  try {
    (void)tuned_config(result);
    ADD_FAILURE() << "a config was made";
  } catch (const GateError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("the best found is"));
  }
}

TEST_F(Tune, Interrupted_KeepsRowsAndGoesOn) {
  const fs::path rows = fs::path(::testing::TempDir()) / "tune-rows.jsonl";
  fs::remove(rows);
  setup_.rows = rows;
  observer_.stop_after = 5;  // two clips recorded, three candidates tried
  const Json stopped = run();
  EXPECT_FALSE(stopped["complete"]);
  const auto lines = [&] {
    std::ifstream file(rows);
    std::string line;
    std::size_t count = 0;
    while (std::getline(file, line)) ++count;
    return count;
  };
  const std::size_t kept = lines();
  EXPECT_GT(kept, 0);
  std::ofstream(rows, std::ios::app) << R"({"identity": "torn)";
  observer_ = {};
  const Json whole = run();
  EXPECT_TRUE(whole["complete"]);
  EXPECT_GT(lines(), kept);
  const std::size_t all = lines();
  const Json again = run();
  EXPECT_EQ(lines(), all) << "everything was taken from the file";
  EXPECT_EQ(again["points"].size(), whole["points"].size());
}

TEST(PooledPsnr, TwoClips_IsThatOfTheMeanError) {
  const std::vector<double> psnrs = {20, 100};
  EXPECT_NEAR(pooled_psnr(psnrs), 23.0103, 1e-4);  // −10·log10((0.01 + 1e-10) / 2)
  const std::vector<double> same = {31.5, 31.5};
  EXPECT_NEAR(pooled_psnr(same), 31.5, 1e-9);
}

}  // namespace
}  // namespace bw
