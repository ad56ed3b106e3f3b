#include "run/raw_clip.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/stopwatch.h"

namespace bw {

at::Tensor decode_frames(const Bundle& model, const at::Tensor& latents) {
  std::vector<at::Tensor> chunks;
  model.video_decoder()->decode(
      latents, [&](const at::Tensor& frames) { chunks.push_back(frames.clone()); });
  return at::cat(chunks);
}

RawClip make_raw_clip(const Bundle& model, const Plan& plan, Observer& observer) {
  auto [latents, steps, report] = denoise(model, plan, observer);
  if (steps < plan.clip.steps) throw Interrupted("stopped before the run was whole");
  const Stopwatch watch;
  at::Tensor frames = decode_frames(model, latents);
  report.timings.decode = watch.seconds();
  return {latents, std::move(frames), std::move(report)};
}

Plan with_clip(Plan plan, const std::string& prompt, std::int64_t seed) {
  plan.clip.prompt = prompt;
  plan.clip.seed = seed;
  return plan;
}

}  // namespace bw
