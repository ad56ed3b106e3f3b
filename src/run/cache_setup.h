// From a plan to the things a run is made of: schedule, cache, encoder options. Read generate.cc
// for their use.
#pragma once

#include <memory>

#include "bundle/manifest.h"
#include "cache/cache_controller.h"
#include "cache/policy_table.h"
#include "output/frame_sink.h"
#include "run/latents.h"
#include "run/plan.h"
#include "schedule/scheduler.h"

namespace bw {

[[nodiscard]] LatentShape plan_latent_shape(const Plan& plan, const Manifest& manifest);
[[nodiscard]] std::unique_ptr<Schedule> make_schedule(const Plan& plan, const LatentShape& shape);

// What the controller must know of model and run; needs the manifest alone, so memory is known
// before weights are loaded.
[[nodiscard]] CacheLayout cache_layout(const Plan& plan, const Manifest& manifest,
                                       const Schedule& schedule);
// What a calibrated table is tied to: model, sampler, steps, shift, guidance and size of the run.
[[nodiscard]] RunIdentity calibration_identity(const Plan& plan, const Manifest& manifest);
// Whether the cache computes some blocks in int8. Reads the report of a replay.
[[nodiscard]] bool wants_int8(const CachePlan& plan);

[[nodiscard]] CacheSetup make_cache_setup(const Plan& plan, const Manifest& manifest,
                                          const Schedule& schedule);

// Without metadata, which depends on the run.
[[nodiscard]] EncodeOptions encode_options(const Plan& plan);

}  // namespace bw
