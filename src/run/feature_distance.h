// How calibrations compare features of two steps. Used by the files of calibrations/.
#pragma once

#include "bundle/denoiser.h"

namespace bw {

// Σ|a − b| / Σ|b| over all streams.
[[nodiscard]] double relative_l1(const Hidden& a, const Hidden& b);

// Copies that stay valid when the run goes on.
[[nodiscard]] Hidden cloned(const Hidden& hidden);

}  // namespace bw
