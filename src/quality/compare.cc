#include "quality/compare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/error.h"

namespace bw {
namespace {

std::string describe(const at::Tensor& frames) {
  return std::to_string(frames.size(0)) + " frames of " + std::to_string(frames.size(2)) + "x" +
         std::to_string(frames.size(1));
}

void check_frames(const at::Tensor& frames, const char* what) {
  BW_CHECK(frames.defined() && frames.dim() == 4 && frames.size(3) == 3, what);
  BW_CHECK(frames.scalar_type() == at::kByte && frames.is_cpu(), what);
}

MetricResult measure(const MetricInfo& metric, const at::Tensor& video,
                     const at::Tensor& reference) {
  if (video.size(1) < metric.min_side || video.size(2) < metric.min_side) {
    throw InputError(std::string(metric.name) + " needs at least " +
                     std::to_string(metric.min_side) + " pixels each way (got " + describe(video) +
                     ")");
  }
  MetricResult result{.name = std::string(metric.name),
                      .unit = std::string(metric.unit),
                      .higher_is_better = metric.higher_is_better,
                      .per_frame = metric.per_frame(video, reference)};
  const std::vector<double>& values = result.per_frame;
  BW_CHECK(static_cast<std::int64_t>(values.size()) == video.size(0));
  const auto worst =
      metric.higher_is_better ? std::ranges::min_element(values) : std::ranges::max_element(values);
  result.worst = *worst;
  result.worst_frame = worst - values.begin();
  result.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return result;
}

}  // namespace

std::vector<MetricResult> compare(const at::Tensor& video, const at::Tensor& reference,
                                  std::span<const MetricInfo> metrics) {
  check_frames(video, "video must be uint8 [n,H,W,3] on the CPU");
  check_frames(reference, "reference must be uint8 [n,H,W,3] on the CPU");
  if (video.sizes() != reference.sizes()) {
    throw InputError("the videos cannot be compared frame by frame: " + describe(video) +
                     " against " + describe(reference));
  }
  if (video.size(0) == 0) throw InputError("the videos have no frames");
  std::vector<MetricResult> results;
  for (const MetricInfo& metric : metrics) results.push_back(measure(metric, video, reference));
  return results;
}

}  // namespace bw
