// Rows are whole per clip, kept, and taken over; a reference is run once.
#include "run/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "run/bench_summary.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

class Bench : public ::testing::Test {
 protected:
  Bench() : folder_(fs::path(::testing::TempDir()) / "bench-test") {
    fs::remove_all(folder_);
    setup_.arms = {{"base", plan({{"cache", "none"}})},
                   {"half", plan({{"cache", "static:every=2"}})}};
    setup_.prompts = {"a fox", "a boat"};
    setup_.seeds = {1, 2};
    setup_.warmup = 0;
    setup_.repeat = 2;
    model_ = load_model(setup_.arms.front().plan, manifest_);
  }
  Plan plan(const Json& config) const {
    Request request;
    Json whole = {{"prompt", "a fox"},
                  {"threads", 1},
                  {"dtype", "float32"},
                  {"steps", 6},
                  {"output", (folder_ / "a.y4m").string()}};
    whole.update(config);
    request.add_config(whole, Origin::file("c.json: "));
    return resolve(request, manifest_);
  }
  std::vector<MeasuredRun> run() { return bench(*model_, setup_, observer_); }
  std::size_t lines() const {
    std::ifstream file(setup_.rows);
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }

  fs::path folder_;
  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  std::shared_ptr<const Bundle> model_;
  BenchSetup setup_;
  testing::QuietObserver observer_;
};

TEST_F(Bench, Rows_AreOnePerArmClipAndRound) {
  const std::vector<MeasuredRun> rows = run();
  ASSERT_EQ(rows.size(), 2 * 2 * 2 * 2);
  for (const MeasuredRun& row : rows) {
    EXPECT_EQ(row.quality.contains("psnr"), row.arm == "half") << "the first arm is the yardstick";
    EXPECT_DOUBLE_EQ(row.computed_fraction, row.arm == "half" ? 0.5 : 1);
    EXPECT_GT(row.peak_bytes, 0);
  }
  const Json summary = bench_summary(*model_, setup_, rows);
  const Json& half = summary["arms"][1];
  EXPECT_NE(half["identity"], summary["arms"][0]["identity"]);
  for (const char* stage : {"denoise", "rebuild", "embed", "head", "encode"}) {
    EXPECT_GT(half["seconds"][stage]["median"], 0) << stage;
  }
  double blocks = 0;  // what blocks of every kind took
  for (const auto& [stage, value] : half["seconds"].items()) {
    if (stage.starts_with("blocks ")) blocks += value["median"].get<double>();
  }
  EXPECT_GT(blocks, 0);
  EXPECT_LT(blocks, half["seconds"]["denoise"]["median"]);
  EXPECT_FALSE(bench_table(summary).empty());
}

TEST_F(Bench, Interrupted_KeepsWholeClipsAndGoesOn) {
  setup_.rows = folder_ / "rows.jsonl";
  observer_.stop_after = 2;  // the first clip has both its rounds
  EXPECT_THROW((void)run(), Interrupted);
  EXPECT_EQ(lines(), 4);
  const std::string before = [&] {
    std::ifstream file(setup_.rows);
    std::string line;
    std::getline(file, line);
    return line;
  }();
  observer_ = {};
  const std::vector<MeasuredRun> rows = run();
  EXPECT_EQ(rows.size(), 16);
  EXPECT_EQ(lines(), 16);
  EXPECT_EQ(to_json(rows.front()).dump(), before) << "taken over, not run again";
}

TEST_F(Bench, RowsOfAnotherPlan_AreLeftAlone) {
  setup_.rows = folder_ / "rows.jsonl";
  (void)run();
  setup_.arms[1] = {"half", plan({{"cache", "static:every=3"}})};
  const std::vector<MeasuredRun> rows = run();
  EXPECT_EQ(lines(), 32);
  EXPECT_NEAR(rows[1].computed_fraction, 1.0 / 3, 1e-9);
}

TEST_F(Bench, BrokenRow_IsNamedByItsLine) {
  setup_.rows = folder_ / "rows.jsonl";
  fs::create_directories(folder_);
  std::ofstream(setup_.rows) << "{\"identity\": 3}\n";
  try {
    (void)run();
    ADD_FAILURE() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("line 1"));
  }
}

TEST_F(Bench, Reference_IsTakenFromKeptLatents) {
  setup_.latents = folder_ / "latents";
  setup_.reference = BenchArm{"converged", plan({{"cache", "none"}, {"steps", 24}})};
  const std::vector<MeasuredRun> first = run();
  std::size_t kept = 0;
  for (const auto& entry : fs::directory_iterator(setup_.latents)) kept += entry.exists() ? 1 : 0;
  EXPECT_EQ(kept, 3 * 4) << "two arms and the reference on four clips";
  EXPECT_TRUE(first.front().quality.contains("psnr_reference"));
  const std::vector<MeasuredRun> again = run();
  EXPECT_EQ(again.front().quality, first.front().quality);
}

TEST_F(Bench, TwoArmsOfOneName_AreRefused) {
  setup_.arms[1].name = "base";
  EXPECT_THROW(check_one_model(setup_), UsageError);
}

}  // namespace
}  // namespace bw
