// Where the time of a denoising step goes: operators of the model's code and of the run, with the
// bytes and FLOP that they must move and do, against rates that this machine was measured to reach.
// Read generate.h for the run.
#pragma once

#include <string>

#include "base/json.h"
#include "bundle/bundle.h"
#include "run/plan.h"
#include "run/progress.h"

namespace bw {

// Runs the plan's denoising once to warm up and once under observation; the first step of that one
// is left out. Observing costs about a microsecond an operator, so `step_seconds` is taken from a
// third run without it.
[[nodiscard]] Json profile(const Bundle& model, const Plan& plan, Observer& observer);

// The same as a table for a terminal.
[[nodiscard]] std::string profile_table(const Json& result);

}  // namespace bw
