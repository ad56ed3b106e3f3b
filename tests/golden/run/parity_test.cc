// Whole runs against the original model and diffusers' schedulers: same noise, same embeddings,
// f32, after all steps.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bundle/bundle.h"
#include "golden/bundle/relative_error.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "schedule/scheduler.h"
#include "support/quiet_observer.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

struct BundleCase {
  const char* name;
  std::string folder;
};

class Parity : public ::testing::TestWithParam<BundleCase> {
 protected:
  // The golden tensors under the names that --noise and --prompt-embeds read.
  void write_inputs(const Safetensors& golden) {
    const fs::path folder = ::testing::TempDir();
    noise_ = folder / (std::string(GetParam().name) + ".noise.safetensors");
    embeds_ = folder / (std::string(GetParam().name) + ".embeds.safetensors");
    const std::vector<std::pair<std::string, at::Tensor>> noise = {
        {"noise", golden.tensors.at("noise")}};
    const std::vector<std::pair<std::string, at::Tensor>> embeds = {
        {"prompt_embeds", golden.tensors.at("cond")},
        {"negative_prompt_embeds", golden.tensors.at("uncond")}};
    write_safetensors(noise_, noise, {});
    write_safetensors(embeds_, embeds, {});
  }

  Plan plan_for(const Manifest& manifest, const Json& run, const at::Tensor& noise,
                bool rewrite) const {
    const LatentShape shape{noise.size(1), noise.size(2), noise.size(3), noise.size(4)};
    const ClipSize size = clip_size(manifest, shape);
    Request request;
    request.add_config({{"dtype", "float32"},
                        {"threads", 1},
                        {"no_rewrite", !rewrite},
                        {"prompt_embeds", embeds_.string()},
                        {"noise", noise_.string()},
                        {"width", size.width},
                        {"height", size.height},
                        {"num_frames", size.num_frames},
                        {"steps", run.at("steps")},
                        {"guidance_scale", run.at("guidance_scale")},
                        {"cache", "none"}},
                       Origin::file("golden: "));
    Plan plan = resolve(request, manifest);
    const auto class_name = run.at("scheduler").at("_class_name").get<std::string>();
    plan.clip.sampler = find_scheduler(class_name, Origin::file("golden: ")).name;
    plan.clip.scheduler = run.at("scheduler");
    return plan;
  }

  fs::path noise_;
  fs::path embeds_;
};

TEST_P(Parity, EveryGoldenRun_EqualsTheOriginal) {
  const Manifest manifest = read_manifest(GetParam().folder);
  const Safetensors golden = read_safetensors(manifest.directory / "golden/runs.safetensors");
  write_inputs(golden);
  int runs = 0;
  for (const auto& [name, text] : golden.metadata) {
    if (!golden.tensors.contains(name + ".latents")) continue;
    const Json run = parse_json(text, Origin::file(name));
    for (const bool rewrite : {true, false}) {
      const Plan plan = plan_for(manifest, run, golden.tensors.at("noise"), rewrite);
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
