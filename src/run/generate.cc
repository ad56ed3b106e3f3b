#include "run/generate.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "base/error.h"
#include "base/files.h"
#include "base/stopwatch.h"
#include "run/branches.h"
#include "run/cache_setup.h"
#include "run/environment.h"
#include "run/guidance.h"
#include "run/latents.h"
#include "run/run_device.h"
#include "run/step_clock.h"
#include "run/write_video.h"

namespace bw {
namespace {

std::string latents_hash(const at::Tensor& latents) {
  const at::Tensor whole = latents.contiguous();
  return sha256(
      {static_cast<const char*>(whole.const_data_ptr()), static_cast<std::size_t>(whole.nbytes())});
}

at::Tensor start_noise(const Plan& plan, const LatentShape& shape) {
  return plan.clip.noise ? read_noise(*plan.clip.noise, shape) : draw_noise(plan.clip.seed, shape);
}

const char* what_was_done(const StepDecision& decision) {
  if (decision.reuses_guided) return "reused";
  for (const BranchDecision& branch : decision.branches) {
    if (branch.plan.reuse != Site::kNone) return "reused";
  }
  return "computed";
}

void note_prompt(const PromptReport& prompt, Observer& observer) {
  if (prompt.cut_tokens == 0) return;
  std::string cut = prompt.cut_text.substr(0, 200);
  if (cut.size() < prompt.cut_text.size()) cut += "…";
  observer.note("the prompt is too long: its last " + std::to_string(prompt.cut_tokens) +
                " tokens were left out: \"" + cut + "\"");
}

}  // namespace

LoadOptions prepare_load(const ModelPlan& plan, const Manifest& manifest) {
  open_run_device(plan);
  at::set_num_threads(plan.threads);
  LoadOptions options;
  options.dtype = find_dtype(manifest, plan.dtype, Origin::flag("--dtype"));
  options.rewrite = plan.rewrite;
  options.int8 = plan.quantize == "int8";
  options.int8_variant = plan.int8_variant;
  options.device = device_of(plan);
  return options;
}

std::shared_ptr<const Bundle> load_model(const Plan& plan, const Manifest& manifest) {
  check_device_memory(plan, manifest);
  LoadOptions options = prepare_load(plan.model, manifest);
  options.with_text_encoder = !plan.clip.prompt_embeds;
  return Bundle::load(manifest, options);
}

Denoised denoise(const Bundle& model, const Plan& plan, Observer& observer,
                 FeatureRecorder* recorder) {
  const c10::InferenceMode inference;
  Report report{plan, model.manifest().name, model.manifest().hash, {}, {}, {}, {}, {}, 0, {}, {}};
  const LatentShape shape = plan_latent_shape(plan, model.manifest());
  const auto schedule = make_schedule(plan, shape);
  const Stopwatch text_watch;
  const Branches branches(model, plan, *schedule, report.prompt);
  report.timings.text = text_watch.seconds();
  note_prompt(report.prompt, observer);
  const Guidance guidance(plan.clip.guidance, plan.clip.steps);
  CacheSetup setup = make_cache_setup(plan, model.manifest(), *schedule);
  setup.recorder = recorder;
  CacheController cache(std::move(setup));

  SchedulerState state = schedule->initial(start_noise(plan, shape).to(model.device()));
  StepClock clock(model.device(), plan.clip.steps);
  const Stopwatch denoise_watch;
  for (const Evaluation& e : schedule->evaluations()) {
    if (observer.stop_requested()) return {state.sample.cpu(), e.step, std::move(report)};
    clock.begin();
    const at::Tensor model_input = schedule->model_input(e.index, state);
    const StepDecision& decision = cache.begin(e.index, model_input);
    at::Tensor guided;
    if (decision.run_branches) {
      guided = guidance.combine(branches.run(cache, e.index, model_input, guidance.active(e.step)));
    }
    guided = cache.guided(guided);
    const Stopwatch scheduler_watch;
    state = schedule->step(e.index, guided, std::move(state));
    report.timings.scheduler += scheduler_watch.seconds();
    const char* done = what_was_done(decision);
    cache.end();
    clock.end(e.step);
    observer.step(e.step + 1, plan.clip.steps, done);
  }
  const at::Tensor latents = state.sample.cpu();
  report.timings.denoise = denoise_watch.seconds();
  report.timings.steps = clock.seconds();
  report.cache = cache.report();
  report.latents_hash = latents_hash(latents);
  report.memory = declared_memory(plan, model.manifest(), model.weight_bytes());
  report.peak_memory_bytes = peak_memory_bytes();
  report.peak_device_bytes = peak_device_bytes(plan.model);
  return {latents, plan.clip.steps, std::move(report)};
}

Report generate(const Bundle& model, const Plan& plan, Observer& observer) {
  const Stopwatch watch;
  Denoised done = denoise(model, plan, observer);
  Report& report = done.report;
  const KeptLatents kept(plan,
                         {done.latents, plan_to_json(plan, false), report.bundle_hash, done.steps});
  if (done.steps < plan.clip.steps) {
    throw Interrupted("stopped after " + std::to_string(done.steps) + " of " +
                      std::to_string(plan.clip.steps) + " steps; the latents are in " +
                      latents_path(plan).string());
  }
  kept.guard([&] { write_video(model, done.latents, report, observer); });
  report.timings.total = watch.seconds();
  report.peak_memory_bytes = peak_memory_bytes();
  report.peak_device_bytes = peak_device_bytes(plan.model);
  return std::move(report);
}

}  // namespace bw
