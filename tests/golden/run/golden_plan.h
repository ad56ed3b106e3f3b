// The plan of a golden run: its noise and embeddings as the files that --noise and --prompt-embeds
// read. Read parity_test.cc and caches_test.cc for its uses.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "run/latents.h"
#include "run/resolve.h"
#include "schedule/scheduler.h"
#include "torchscript/safetensors.h"

namespace bw::testing {

class GoldenInputs {
 public:
  // Writes `noise`, `cond` and `uncond` of a bundle's golden/runs.safetensors; `name` keeps the
  // files of different tests apart.
  GoldenInputs(const Safetensors& golden, const std::string& name) {
    const std::filesystem::path folder = ::testing::TempDir();
    noise_ = folder / (name + ".noise.safetensors");
    embeds_ = folder / (name + ".embeds.safetensors");
    const at::Tensor& start = golden.tensors.at("noise");
    shape_ = {start.size(1), start.size(2), start.size(3), start.size(4)};
    const std::vector<std::pair<std::string, at::Tensor>> noise = {{"noise", start}};
    const std::vector<std::pair<std::string, at::Tensor>> embeds = {
        {"prompt_embeds", golden.tensors.at("cond")},
        {"negative_prompt_embeds", golden.tensors.at("uncond")}};
    write_safetensors(noise_, noise, {});
    write_safetensors(embeds_, embeds, {});
  }

  // run: {"scheduler", "steps", "guidance_scale"}; `more` goes over it. f32, one thread.
  [[nodiscard]] Plan plan(const Manifest& manifest, const Json& run, const Json& more) const {
    const ClipSize size = clip_size(manifest, shape_);
    Json config = {{"dtype", "float32"},
                   {"threads", 1},
                   {"prompt_embeds", embeds_.string()},
                   {"noise", noise_.string()},
                   {"width", size.width},
                   {"height", size.height},
                   {"num_frames", size.num_frames},
                   {"steps", run.at("steps")},
                   {"guidance_scale", run.at("guidance_scale")}};
    config.update(more);
    Request request;
    request.add_config(config, Origin::file("golden: "));
    Plan plan = resolve(request, manifest);
    const auto class_name = run.at("scheduler").at("_class_name").get<std::string>();
    plan.clip.sampler = find_scheduler(class_name, Origin::file("golden: ")).name;
    plan.clip.scheduler = run.at("scheduler");
    return plan;
  }

 private:
  std::filesystem::path noise_;
  std::filesystem::path embeds_;
  LatentShape shape_;
};

}  // namespace bw::testing
