// flicker_ratio = MAE_t(video) / MAE_t(reference), MAE_t being the mean absolute change from a
// frame to the next over the whole clip: above 1 the video changes more than its reference, below 1
// less (it stutters, or motion is lost). One value per clip, since single transitions may be still.
// Of two still clips it is 1, of a video that moves and a still reference infinite.
#include <limits>
#include <numeric>

#include "quality/metric.h"
#include "quality/temporal.h"

namespace bw {
namespace {

double total_change(const at::Tensor& clip) {
  const std::vector<double> changes = frame_changes(clip);
  return std::accumulate(changes.begin(), changes.end(), 0.0);
}

std::vector<double> flicker_ratio(const at::Tensor& video, const at::Tensor& reference) {
  const double change = total_change(video);
  const double expected = total_change(reference);
  if (expected > 0) return {change / expected};
  return {change > 0 ? std::numeric_limits<double>::infinity() : 1.0};
}

}  // namespace

MetricInfo flicker_ratio_metric() {
  return {.name = "flicker_ratio",
          .unit = "",
          .summary = "change from frame to frame, relative to the reference's; 1 for equal clips",
          .better = Better::kNearestOne,
          .value_of = ValueOf::kClip,
          .min_frames = 2,
          .measure = flicker_ratio};
}

}  // namespace bw
