// Whole runs of the tiny Wan bundle under a cache against the caches of diffusers and cache-dit on
// the original model: the same steps, branches, blocks and stages are computed, and the same
// latents come out. models/reference/caches.py says what a case is; docs/methods.md (What was
// compared) where the implementations differ and how the cases avoid it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bundle/bundle.h"
#include "cache/calibrated_table.h"
#include "cache/wiener_filter.h"
#include "golden/bundle/relative_error.h"
#include "golden/run/golden_plan.h"
#include "run/calibrate.h"
#include "run/generate.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

using Words = std::vector<std::string>;  // per step

constexpr std::size_t kStages = 3;  // of a block of Wan
// Less than the other goldens': a weight of a cache that is a little off moves latents little.
// Measured: at most 4e-7.
constexpr double kCacheTolerance = 1e-5;

// A word per block, a letter per stage: c computed, r reused.
std::string words(const BranchPlan& done, std::size_t num_blocks) {
  std::string text;
  for (std::size_t block = 0; block < num_blocks; ++block) {
    const bool whole = leaves_out_stack(done.reuse) || (!done.blocks.empty() && done.blocks[block]);
    if (block > 0) text += ' ';
    for (std::size_t stage = 0; stage < kStages; ++stage) {
      const bool reused = whole || (!done.stages.empty() && done.stages[block][stage]);
      text += reused ? 'r' : 'c';
    }
  }
  return text;
}

Words decisions(const CacheReport& report, Branch branch) {
  Words steps;
  for (const EvaluationRecord& evaluation : report.evaluations) {
    for (const BranchRecord& record : evaluation.branches) {
      if (record.branch == branch) steps.push_back(words(record.done, evaluation.num_blocks));
    }
  }
  return steps;
}

class Caches : public ::testing::TestWithParam<const char*> {
 protected:
  Denoised run(const Json& config) {
    const Plan plan = inputs_.plan(manifest_, run_, config);
    bw::testing::QuietObserver observer;
    return denoise(*load_model(plan, manifest_), plan, observer);
  }

  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  Safetensors golden_ = read_safetensors(BW_TEST_DATA "/golden/caches.safetensors");
  Safetensors runs_ = read_safetensors(manifest_.directory / "golden/runs.safetensors");
  bw::testing::GoldenInputs inputs_{runs_, "caches"};
  Json run_ = parse_json(golden_.metadata.at("run"), Origin::file("caches.safetensors: run"));
};

TEST_P(Caches, WholeRun_DecidesAndEndsAsThePublishedCache) {
  const std::string name = GetParam();
  const Json golden = parse_json(golden_.metadata.at(name), Origin::file(name));
  Words ways = {"separate"};
  if (golden.at("batched").get<bool>()) ways.emplace_back("batched");
  for (const std::string& way : ways) {
    const Denoised found = run({{"cache", golden.at("cache")}, {"guidance_batching", way}});
    for (const Branch branch : kBranches) {
      const std::string of(branch_name(branch));
      EXPECT_EQ(decisions(found.report.cache, branch), golden.at("decisions").at(of).get<Words>())
          << way << ", " << of;
    }
    bw::testing::expect_close(found.latents, golden_.tensors.at(name + ".latents"),
                              name + "." + way, kCacheTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(TinyWan, Caches,
                         ::testing::Values("fbcache", "dbcache_each", "dbcache_cond",
                                           "dbcache_taylor", "pab", "fora", "taylorseer",
                                           "magcache", "fastercache", "seacache"),
                         [](const auto& instance) { return std::string(instance.param); });

using CachesFile = Caches;

TEST_F(CachesFile, Weights_AreTheBundles) {
  EXPECT_EQ(golden_.metadata.at("weights"), runs_.metadata.at("weights"));
}

TEST_F(CachesFile, MagcacheRatios_EqualThoseOfItsOwnCalibration) {
  const Plan plan = inputs_.plan(manifest_, run_, {{"cache", "magcache"}});
  const auto calibration = make_calibration(plan, manifest_);
  Plan uncached = plan;
  uncached.clip.cache = CachePlan();
  bw::testing::QuietObserver observer;
  const at::Tensor latents =
      denoise(*load_model(uncached, manifest_), uncached, observer, calibration->recorder())
          .latents;
  calibration->finish_clip(latents, {});
  const CalibratedTable table = CalibratedTable::parse(
      calibration->result().params.at("ratios").get<std::string>(), Origin::file("ratios"));
  for (const Branch branch : kBranches) {
    const std::string of(branch_name(branch));
    const at::Tensor golden = golden_.tensors.at("magcache.ratios." + of);
    const auto* found = table.find(of);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(static_cast<std::int64_t>(found->size()), golden.size(0));
    // The first step has no predecessor: not known here, 1 there. Five digits are kept.
    for (std::size_t step = 1; step < found->size(); ++step) {
      const auto ratio = golden[static_cast<std::int64_t>(step)].item<double>();
      EXPECT_NEAR((*found)[step], ratio, 1e-4) << of << ", step " << step;
    }
  }
}

TEST_F(CachesFile, SeacacheFilter_EqualsItsOwn) {
  const Json golden = parse_json(golden_.metadata.at("seacache.filter"), Origin::file("filter"));
  const auto grid = golden.at("grid").get<std::array<std::int64_t, 3>>();
  const Json& cases = golden.at("cases");
  ASSERT_GE(cases.size(), 1U);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const WienerFilter filter{.sigma = cases[i].at("sigma").get<double>(),
                              .spectrum = cases[i].at("power").get<double>()};
    bw::testing::expect_close(wiener_filtered(golden_.tensors.at("seacache.tokens"), grid, filter),
                              golden_.tensors.at("seacache.filtered." + std::to_string(i)),
                              "filter." + std::to_string(i), kCacheTolerance);
  }
}

}  // namespace
}  // namespace bw
