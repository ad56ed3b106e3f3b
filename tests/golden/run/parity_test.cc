// Whole runs against the original model and diffusers' schedulers: same noise, same embeddings,
// f32, after all steps.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bundle/bundle.h"
#include "golden/bundle/relative_error.h"
#include "golden/run/golden_plan.h"
#include "run/generate.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

struct BundleCase {
  const char* name;
  std::string folder;
};

class Parity : public ::testing::TestWithParam<BundleCase> {};

TEST_P(Parity, EveryGoldenRun_EqualsTheOriginal) {
  const Manifest manifest = read_manifest(GetParam().folder);
  const Safetensors golden = read_safetensors(manifest.directory / "golden/runs.safetensors");
  const bw::testing::GoldenInputs inputs(golden, GetParam().name);
  int runs = 0;
  for (const auto& [name, text] : golden.metadata) {
    if (!golden.tensors.contains(name + ".latents")) continue;
    const Json run = parse_json(text, Origin::file(name));
    for (const bool rewrite : {true, false}) {
      const Plan plan = inputs.plan(manifest, run, {{"no_rewrite", !rewrite}, {"cache", "none"}});
      bw::testing::QuietObserver observer;
      const Denoised denoised = denoise(*load_model(plan, manifest), plan, observer);
      bw::testing::expect_close(denoised.latents, golden.tensors.at(name + ".latents"),
                                name + (rewrite ? "" : ".as_it_is"));
      ++runs;
    }
  }
  EXPECT_GE(runs, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Bundles, Parity,
    ::testing::Values(BundleCase{"tiny_wan", BW_TEST_DATA "/bundles/tiny-wan"},
                      BundleCase{"synthetic", BW_TEST_DATA "/bundles/synthetic"},
                      BundleCase{"default_model", BW_SOURCE_DIR "/models/default/bundle"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace bw
