#include "quality/clip_set.h"

#include <algorithm>

namespace bw {
namespace {

const MetricResult* find_result(const ClipResult& clip, std::string_view metric) {
  const auto found = std::ranges::find(clip.metrics, metric, &MetricResult::name);
  return found == clip.metrics.end() ? nullptr : &*found;
}

}  // namespace

std::vector<SetResult> summarize_set(std::span<const ClipResult> clips) {
  std::vector<SetResult> set;
  for (const MetricInfo& metric : metrics()) {
    std::vector<double> means;
    std::vector<const ClipResult*> measured;
    const ClipResult* worst = nullptr;
    for (const ClipResult& clip : clips) {
      const MetricResult* const result = find_result(clip, metric.name);
      if (result == nullptr) continue;
      means.push_back(result->mean);
      measured.push_back(&clip);
      const bool is_worse =
          worst == nullptr || badness(metric.better, result->worst) >
                                  badness(metric.better, find_result(*worst, metric.name)->worst);
      if (is_worse) worst = &clip;
    }
    if (worst == nullptr) continue;
    SetResult result;
    result.means = summarize(metric, std::move(means));
    result.means.value_of = ValueOf::kClip;
    result.worst_clip = measured[static_cast<std::size_t>(result.means.worst_frame)]->clip;
    result.worst_value_clip = worst->clip;
    result.worst_value = *find_result(*worst, metric.name);
    set.push_back(std::move(result));
  }
  return set;
}

}  // namespace bw
