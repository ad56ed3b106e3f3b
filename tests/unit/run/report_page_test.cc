#include "run/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "run/generate.h"
#include "run/page_frames.h"
#include "run/resolve.h"
#include "run/run_figures.h"
#include "support/markup.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

using testing::count_of;
using ::testing::HasSubstr;

// A run of the tiny model with its video in the folder of the tests.
Json run_with(const char* cache, const std::string& name) {
  const Manifest manifest = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  Request request;
  request.add_config({{"prompt", "a fox"},
                      {"threads", 1},
                      {"steps", 5},
                      {"output", ::testing::TempDir() + name + ".y4m"},
                      {"cache", cache}},
                     Origin::file("c.json: "));
  const Plan plan = resolve(request, manifest);
  bw::testing::QuietObserver observer;
  return report_to_json(generate(*load_model(plan, manifest), plan, observer));
}

class RunFiguresOf : public ::testing::TestWithParam<const char*> {};

TEST_P(RunFiguresOf, EveryKindOfCache_AgreeWithTheReport) {
  const Json report = run_with(GetParam(), "figures");
  const RunFigures run = read_run_figures(report, "r.json");
  EXPECT_NEAR(reused_share(run.maps), report.at("cache").at("totals").at("reused_fraction"), 1e-12);
  std::size_t blocks = 0, reused = 0, drawn = 0;
  for (const StepMap& map : run.maps) {
    for (const MapColumn& column : map.columns) {
      blocks += column.cells.size();
      for (const MapCell& cell : column.cells) reused += cell.reused ? 1 : 0;
    }
    drawn += count_of(step_map_figure(map, MapSize::kFull), "class=\"cell reused\"");
  }
  const Json& totals = report.at("cache").at("totals");
  EXPECT_EQ(blocks, totals.at("blocks").get<std::size_t>());
  EXPECT_EQ(blocks - reused, totals.at("blocks_computed").get<std::size_t>());
  EXPECT_EQ(drawn, reused);
  std::size_t measured = 0;
  for (const IndicatorSeries& series : run.indicator.series) measured += series.points.size();
  EXPECT_EQ(measured, count_of(report.at("cache").at("evaluations").dump(), "\"indicator\":"));
}

INSTANTIATE_TEST_SUITE_P(Caches, RunFiguresOf,
                         ::testing::Values("none", "static:every=2", "static:every=2,site=branch",
                                           "static:every=2,site=guided",
                                           "static:every=2,site=block,blocks=1",
                                           "static:every=2,site=stage,stages=self_attention",
                                           "bwcache:threshold=0.5", "bwcache:threshold=0"));

TEST(PageOf, Run_HoldsItsPartsAndNoReferences) {
  const Json report = run_with("bwcache:threshold=0.5,reuse_interval=1", "page");
  const Page page = page_of({report, ::testing::TempDir() + "page.json"});
  for (const char* part :
       {"a fox", "conditional branch", "Indicator over steps", "Seconds per step",
        "cache.params.threshold", "processor", "data:image/png;base64,"})
    EXPECT_THAT(page.html, HasSubstr(part));
  EXPECT_THAT(page.notes, ::testing::ElementsAre(HasSubstr("browsers play MP4 alone")));
  EXPECT_EQ(count_of(page.html, "src=\""), count_of(page.html, "src=\"data:"));
}

struct DamageRow {
  const char* pointer;
  Json value;
  const char* message;
};

class DamagedReport : public ::testing::TestWithParam<DamageRow> {};

TEST_P(DamagedReport, Place_IsNamed) {
  Json report = run_with("static:every=2", "damaged");
  report.at(Json::json_pointer(GetParam().pointer)) = GetParam().value;
  try {
    (void)page_of({report, "r.json"});
    FAIL() << "was not refused";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Places, DamagedReport,
    ::testing::Values(
        DamageRow{"/format_version", 2, "r.json: format_version: 2 is not what this"},
        DamageRow{"/plan/prompt", 3, "r.json: plan.prompt: must be text"},
        DamageRow{"/plan/steps", 0, "r.json: plan.steps: must be 1 to 10000, got 0"},
        DamageRow{"/plan/steps", 4, "r.json: cache.evaluations[4].step: 4 is not below the plan's"},
        DamageRow{"/plan/steps", 6, "r.json: cache.evaluations: step 5 is missing"},
        DamageRow{"/plan/cache", Json::array(), "r.json: plan.cache: must be an object"},
        DamageRow{"/timings/denoise", -1, "r.json: timings.denoise: must be at least 0, got -1"},
        DamageRow{"/timings/steps", "fast", "r.json: timings.steps: must be a list, got text"},
        DamageRow{"/timings/steps", Json::array({1}), "r.json: timings.steps: holds 1 times"},
        DamageRow{"/cache/evaluations/1/branches/cond/blocks", "cc",
                  "r.json: cache.evaluations[1].branches.cond.blocks"},
        DamageRow{"/cache/evaluations/1/branches/cond/reason", 1,
                  "r.json: cache.evaluations[1].branches.cond.reason: must be text"},
        DamageRow{"/memory", 5, "r.json: memory: must be an object"},
        DamageRow{"/sources", 5, "r.json: sources: must be an object"},
        DamageRow{"/output/path", Json(), "r.json: output.path: must be text"},
        DamageRow{"/kind", "bwcache-gen profile", "'bwcache-gen profile' cannot be shown here"}));

TEST(SpreadFrames, Indices_AreEvenAndHoldBothEnds) {
  EXPECT_EQ(spread_frames(17, 5), (std::vector<std::int64_t>{0, 4, 8, 12, 16}));
  EXPECT_EQ(spread_frames(3, 12), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(spread_frames(1, 12), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(spread_frames(9, 1), (std::vector<std::int64_t>{0}));
}

TEST(DifferenceSheet, Gain_FillsTheRange) {
  const SampledFrames a{{0}, {at::full({4, 6, 3}, 100, at::kByte)}};
  SampledFrames b{{0}, {a.frames[0].clone()}};
  EXPECT_EQ(difference_sheet(a, b).gain, 255) << "equal frames stay black";
  b.frames[0][0][0][0] = 150;
  EXPECT_EQ(difference_sheet(a, b).gain, 5) << "50 · 5 = 250";
}

TEST(CheckPagePath, OtherExtension_IsRefused) {
  EXPECT_THROW(check_page_path("page.json"), UsageError);
  EXPECT_THROW(check_page_path(::testing::TempDir()), UsageError);
  EXPECT_NO_THROW(check_page_path(::testing::TempDir() + "page.html"));
}

}  // namespace
}  // namespace bw
