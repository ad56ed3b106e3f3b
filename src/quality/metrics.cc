#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "quality/clip.h"
#include "quality/metric.h"

namespace bw {

#define BW_METRIC(name) MetricInfo name##_metric();
#include "quality/metrics.inc"
#undef BW_METRIC

std::span<const MetricInfo> metrics() {
  static const std::vector<MetricInfo> kMetrics = {
#define BW_METRIC(name) name##_metric(),
#include "quality/metrics.inc"
#undef BW_METRIC
  };
  return kMetrics;
}

const MetricInfo& find_metric(std::string_view name, const Origin& origin) {
  std::vector<std::string> names;
  for (const MetricInfo& metric : metrics()) {
    if (metric.name == name) return metric;
    names.emplace_back(metric.name);
  }
  reject(origin, "unknown metric '" + std::string(name) + "'" + known_names_hint(name, names));
}

std::vector<MetricInfo> usual_metrics(const at::Tensor& clip) {
  const ClipShape size = clip_shape(clip);
  std::vector<MetricInfo> usual;
  for (const MetricInfo& metric : metrics()) {
    const bool fits =
        std::min(size.width, size.height) >= metric.min_side && size.frames >= metric.min_frames;
    if (metric.kind == size.kind && metric.find_asset == nullptr && fits) usual.push_back(metric);
  }
  return usual;
}

std::string_view to_string(Better better) {
  switch (better) {
    case Better::kHigher:
      return "higher";
    case Better::kLower:
      return "lower";
    case Better::kNearestOne:
      return "nearest 1";
  }
  BW_CHECK(false);
}

std::string_view to_string(ClipKind kind) {
  return kind == ClipKind::kFrames ? "frames" : "latents";
}

std::string_view to_string(ValueOf value_of) {
  switch (value_of) {
    case ValueOf::kFrame:
      return "frame";
    case ValueOf::kTransition:
      return "transition";
    case ValueOf::kClip:
      return "clip";
  }
  BW_CHECK(false);
}

double badness(Better better, double value) {
  switch (better) {
    case Better::kHigher:
      return -value;
    case Better::kLower:
      return value;
    case Better::kNearestOne:
      return std::abs(std::log(value));
  }
  BW_CHECK(false);
}

}  // namespace bw
