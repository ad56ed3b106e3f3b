#include "run/guidance.h"

#include <ATen/ATen.h>

#include "base/check.h"

namespace bw {

bool Guidance::active(std::int64_t step) const {
  if (!plan_.enabled) return false;
  const double position = static_cast<double>(step) / static_cast<double>(num_steps_);
  return position >= plan_.start && position < plan_.end;
}

at::Tensor Guidance::combine(const Predictions& predictions) const {
  BW_CHECK(predictions.cond.has_value());
  const at::Tensor& cond = *predictions.cond;
  if (!predictions.uncond) return cond;
  at::Tensor guided = *predictions.uncond + (cond - *predictions.uncond) * plan_.scale;
  if (plan_.rescale == 0) return guided;
  const std::vector<std::int64_t> dims = {1, 2, 3, 4};
  const at::Tensor rescaled = guided * (cond.std(dims, true, true) / guided.std(dims, true, true));
  return rescaled * plan_.rescale + guided * (1 - plan_.rescale);
}

}  // namespace bw
