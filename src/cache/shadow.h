// Computes what was reused, for CacheSetup::shadow: nothing is kept, measured or counted. Read
// pass_runner.h and cache_controller.h for the callers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>

#include "bundle/denoiser.h"

namespace bw {

// Blocks begin … end − 1 of a pass.
[[nodiscard]] Hidden plain_blocks(Pass& pass, std::size_t begin, std::size_t end, Hidden hidden);

// The prediction of a pass that is not begun.
[[nodiscard]] at::Tensor plain_prediction(Pass& pass);

// Σ|reused − computed| / Σ|computed| over all streams.
[[nodiscard]] double relative_error(const Hidden& reused, const Hidden& computed);

}  // namespace bw
