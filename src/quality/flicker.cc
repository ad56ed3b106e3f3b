// flicker = mean |(a[t+1] - a[t]) - (b[t+1] - b[t])| over pixels and channels, in 8-bit levels:
// what changes from frame to frame otherwise than in the reference b. Metrics of single frames do
// not see it: a cache that errs equally in all frames has none.
#include "quality/metric.h"
#include "quality/temporal.h"

namespace bw {

MetricInfo flicker_metric() {
  return {.name = "flicker",
          .unit = "/255",
          .summary =
              "mean difference of the changes between consecutive frames, in 8-bit levels; "
              "0 for equal clips",
          .better = Better::kLower,
          .value_of = ValueOf::kTransition,
          .min_frames = 2,
          .measure = change_differences};
}

}  // namespace bw
