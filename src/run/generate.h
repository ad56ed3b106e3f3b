// The run: prompt to video on a loaded model. This is the loop to read first.
#pragma once

#include <memory>

#include "bundle/bundle.h"
#include "cache/feature_recorder.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/report.h"

namespace bw {

// Opens the plan's device, sets the thread count, and says how to load the model.
[[nodiscard]] LoadOptions prepare_load(const ModelPlan& plan, const Manifest& manifest);

// Loads what the plan needs of a checked bundle. Throws ResourceError when the device lacks the
// memory.
[[nodiscard]] std::shared_ptr<const Bundle> load_model(const Plan& plan, const Manifest& manifest);

struct Denoised {
  at::Tensor latents;      // [1,C,F,H,W] f32, on the CPU
  std::int64_t steps = 0;  // scheduler steps done: all, unless the observer asked to stop
  Report report;           // everything but the output
};

// The denoising run alone; ends early, with the latents reached, when the observer asks to stop.
// `recorder` sees what is computed (run/calibrate.h).
[[nodiscard]] Denoised denoise(const Bundle& model, const Plan& plan, Observer& observer,
                               FeatureRecorder* recorder = nullptr);

// Denoises, saves the latents, decodes and encodes. Throws Interrupted when the observer asks to
// stop. The latents stay on disk when a later stage fails, and the error says where.
[[nodiscard]] Report generate(const Bundle& model, const Plan& plan, Observer& observer);

}  // namespace bw
