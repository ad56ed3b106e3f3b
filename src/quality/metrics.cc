#include <string>

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

}  // namespace bw
