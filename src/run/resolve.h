// Request + manifest -> plan. Everything that can be wrong is found here, before weights are
// loaded. Read plan.h for the result and resolve_cache.cc for the cache's part.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bundle/manifest.h"
#include "run/plan.h"
#include "run/request.h"

namespace bw {

// --model, else $BWCACHE_MODEL, else the installed or the source tree's default bundle. Throws
// InputError naming all places when there is none.
[[nodiscard]] std::filesystem::path find_bundle(const Request& request);

// The dtype of a run that names none: bfloat16 where the bundle has it. Throws InputError when no
// dtype has all archives.
[[nodiscard]] std::string default_dtype(const Manifest& manifest);

// Pure but for seed -1, which draws one. Throws UsageError or InputError after the value's origin.
[[nodiscard]] Plan resolve(const Request& request, const Manifest& manifest);

// The cache's part of resolve().
[[nodiscard]] CachePlan resolve_cache(const Request& request, const Manifest& manifest);

// What the `cache` of a config may hold beside the parameters of its policy.
[[nodiscard]] std::vector<std::string> reserved_cache_names();

// What a finished plan still needs from the outside: output writable, codec present, input files
// readable, memory of the cache within its budget, its device. Opens that device; loads no weights.
void check_plan(const Plan& plan, const Manifest& manifest);

}  // namespace bw
