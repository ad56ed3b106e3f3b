// The run: prompt to video on a loaded model. This is the loop to read first.
#pragma once

#include <memory>

#include "bundle/bundle.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/report.h"

namespace bw {

// Loads what the plan needs of a checked bundle and sets the thread count.
[[nodiscard]] std::shared_ptr<const Bundle> load_model(const Plan& plan, const Manifest& manifest);

struct Denoised {
  at::Tensor latents;  // [1,C,F,H,W] f32
  Report report;       // everything but the output
};

// The denoising run alone. Throws Interrupted when the observer asks to stop, after saving the
// latents reached.
[[nodiscard]] Denoised denoise(const Bundle& model, const Plan& plan, Observer& observer);

// Denoises, saves the latents, decodes and encodes. The latents stay on disk when a later stage
// fails, and the error says where.
[[nodiscard]] Report generate(const Bundle& model, const Plan& plan, Observer& observer);

}  // namespace bw
