// Whole runs on a GPU against the same runs on the CPU, and against themselves.
#include "run/generate.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "run/resolve.h"
#include "run/run_device.h"
#include "support/gpu.h"
#include "support/quiet_observer.h"
#include "support/tensors.h"

namespace bw {
namespace {

class GpuRun : public testing::GpuTest {
 protected:
  Plan plan(const Json& config) const {
    Request request;
    Json whole = {{"prompt", "a fox"}, {"threads", 4}, {"output", folder_ + "/a.y4m"}};
    whole.update(config);
    request.add_config(whole, Origin::file("c.json: "));
    return resolve(request, manifest_);
  }
  Denoised run(const Plan& plan) { return denoise(*load_model(plan, manifest_), plan, observer_); }

  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  bw::testing::QuietObserver observer_;
  std::string folder_ = ::testing::TempDir();
};

TEST_F(GpuRun, EveryDtypeAndForm_AgreesWithTheCpu) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    for (const bool no_rewrite : {false, true}) {
      const Json config = {{"dtype", dtype}, {"no_rewrite", no_rewrite}, {"cache", "none"}};
      Json on_gpu = config;
      on_gpu["device"] = "cuda";
      const Denoised there = run(plan(on_gpu)), here = run(plan(config));
      EXPECT_TRUE(there.latents.device().is_cpu());
      EXPECT_LE(relative_error(there.latents, here.latents),
                std::string(dtype) == "float32" ? 1e-3 : 0.1)
          << dtype << (no_rewrite ? " as it is" : "");
    }
  }
}

TEST_F(GpuRun, Deterministic_RepeatsBitForBit) {
  const Plan asked = plan({{"device", "cuda"}, {"deterministic", true}, {"cache", "none"}});
  EXPECT_TRUE(at::equal(run(asked).latents, run(asked).latents));
}

TEST_F(GpuRun, Bwcache_DecidesAndDeclaresAsOnTheCpu) {
  const Json config = {{"dtype", "float32"}, {"cache", "bwcache:threshold=0.3"}, {"steps", 8}};
  Json on_gpu = config;
  on_gpu["device"] = "cuda";
  const CacheReport there = run(plan(on_gpu)).report.cache, here = run(plan(config)).report.cache;
  ASSERT_EQ(there.evaluations.size(), here.evaluations.size());
  EXPECT_EQ(there.totals.blocks_computed, here.totals.blocks_computed);
  EXPECT_EQ(there.totals.peak_bytes, here.totals.peak_bytes);
  for (std::size_t i = 0; i < here.evaluations.size(); ++i) {
    const auto& wanted = here.evaluations[i].branches.front().distances;
    const auto& found = there.evaluations[i].branches.front().distances;
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t b = 0; b < wanted.size(); ++b) {
      if (std::isnan(wanted[b])) continue;
      EXPECT_NEAR(found[b], wanted[b], 2e-3) << i << ' ' << b;
    }
  }
}

TEST_F(GpuRun, EveryRebuild_AgreesWithTheCpu) {
  for (const char* rebuild : {"output", "residual", "taylor:2"}) {
    const Json config = {{"dtype", "float32"},
                         {"cache", std::string("bwcache:threshold=0.3,rebuild=") + rebuild}};
    Json on_gpu = config;
    on_gpu["device"] = "cuda";
    EXPECT_LE(relative_error(run(plan(on_gpu)).latents, run(plan(config)).latents), 5e-3)
        << rebuild;
  }
}

TEST_F(GpuRun, WholeClip_IsDecodedAndEncoded) {
  const Plan asked = plan({{"device", "cuda"}, {"report", "none"}});
  const Report report = generate(*load_model(asked, manifest_), asked, observer_);
  EXPECT_EQ(report.output.num_frames, asked.clip.num_frames);
  for (const double seconds : report.timings.steps) EXPECT_GT(seconds, 0);
}

TEST_F(GpuRun, TooLargeAClip_IsRefusedBeforeLoading) {
  Plan asked = plan({{"device", "cuda"}, {"cache", "none"}});
  asked.clip.width = 16384;
  asked.clip.height = 16384;
  asked.clip.num_frames = 4001;
  EXPECT_GT(memory_needs(asked, manifest_).total(), describe_device(testing::kGpu).free_bytes);
  EXPECT_THROW(check_device_memory(asked, manifest_), ResourceError);
}

}  // namespace
}  // namespace bw
