// Every metric that needs no asset against the packages that define it, on crops of photographs and
// of the default model's frames; models/reference/perceptual.py made the files.
#include "support/golden_clips.h"

namespace bw {
namespace {

TEST(Perceptual, EveryMetricWithoutAsset_AgreesWithItsPackage) {
  for (const MetricInfo& metric : metrics()) {
    if (metric.find_asset != nullptr) continue;
    EXPECT_GE(check_metric(metric), 10U) << metric.name;
  }
}

}  // namespace
}  // namespace bw
