#include "quality/compare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "quality/clip.h"

namespace bw {
namespace {

std::string names_for(ClipKind kind) {
  std::string names;
  for (const MetricInfo& metric : metrics()) {
    if (metric.kind != kind) continue;
    if (!names.empty()) names += ", ";
    names += metric.name;
  }
  return names;
}

void check_applies(const MetricInfo& metric, const ClipShape& size) {
  const std::string name(metric.name);
  if (metric.kind != size.kind) {
    throw InputError(name + " measures " + std::string(to_string(metric.kind)) +
                     ", but these are " + std::string(to_string(size.kind)) +
                     "; for them there are " + names_for(size.kind));
  }
  if (std::min(size.width, size.height) < metric.min_side) {
    throw InputError(name + " needs at least " + std::to_string(metric.min_side) +
                     " pixels each way (got " + describe(size) + ")");
  }
  if (size.frames < metric.min_frames) {
    throw InputError(name + " needs at least " + std::to_string(metric.min_frames) +
                     " frames (got " + describe(size) + ")");
  }
}

std::size_t num_values(const MetricInfo& metric, const ClipShape& size) {
  if (metric.value_of == ValueOf::kClip) return 1;
  const std::int64_t fewer = metric.value_of == ValueOf::kTransition ? 1 : 0;
  return static_cast<std::size_t>(size.frames - fewer);
}

void check_finite(const at::Tensor& latents, const char* which) {
  if (latents.isfinite().all().item<bool>()) return;
  throw InputError(std::string("the latents of the ") + which +
                   " hold values that are not finite; the run that made them went wrong");
}

}  // namespace

ClipShape clip_shape(const at::Tensor& clip) {
  BW_CHECK(clip.defined() && clip.is_cpu(), "a clip must be on the CPU");
  if (clip.dim() == 5) {
    BW_CHECK(clip.size(0) == 1 && clip.scalar_type() == at::kFloat,
             "latents must be f32 [1,C,F,H,W]");
    return {ClipKind::kLatents, clip.size(2), clip.size(4), clip.size(3), clip.size(1)};
  }
  BW_CHECK(clip.dim() == 4 && clip.size(3) == 3 && clip.scalar_type() == at::kByte,
           "frames must be uint8 [n,H,W,3]");
  return {ClipKind::kFrames, clip.size(0), clip.size(2), clip.size(1), 3};
}

std::string describe(const ClipShape& size) {
  const bool latents = size.kind == ClipKind::kLatents;
  std::string text = std::to_string(size.frames);
  text += latents ? " latent frames of " : " frames of ";
  text += std::to_string(size.width) + "x" + std::to_string(size.height);
  if (latents) text += " with " + std::to_string(size.channels) + " channels";
  return text;
}

MetricResult summarize(const MetricInfo& metric, std::vector<double> values) {
  BW_CHECK(!values.empty(), std::string(metric.name));
  BW_CHECK(std::ranges::none_of(values, [](double value) { return std::isnan(value); }),
           std::string(metric.name) + " gave NaN");
  MetricResult result{.name = std::string(metric.name),
                      .unit = std::string(metric.unit),
                      .better = metric.better,
                      .value_of = metric.value_of,
                      .values = std::move(values)};
  std::vector<double> sorted = result.values;
  const auto is_worse = [&](double a, double b) {
    return badness(metric.better, a) > badness(metric.better, b);
  };
  std::ranges::stable_sort(sorted, is_worse);
  result.worst = sorted.front();
  result.worst_frame = std::ranges::find(result.values, result.worst) - result.values.begin();
  result.p10 = sorted[(sorted.size() - 1) / 10];
  result.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) /
                static_cast<double>(result.values.size());
  return result;
}

std::vector<MetricResult> compare(const at::Tensor& video, const at::Tensor& reference,
                                  std::span<const MetricInfo> metrics) {
  const ClipShape size = clip_shape(video);
  const ClipShape wanted = clip_shape(reference);
  if (video.sizes() != reference.sizes()) {
    throw InputError("the videos cannot be compared frame by frame: " + describe(size) +
                     " against " + describe(wanted));
  }
  if (size.frames == 0) throw InputError("the videos have no frames");
  if (size.kind == ClipKind::kLatents) {
    check_finite(video, "video");
    check_finite(reference, "reference");
  }
  std::vector<MetricResult> results;
  for (const MetricInfo& metric : metrics) {
    check_applies(metric, size);
    std::vector<double> values = metric.measure(video.contiguous(), reference.contiguous());
    BW_CHECK(values.size() == num_values(metric, size), std::string(metric.name));
    results.push_back(summarize(metric, std::move(values)));
  }
  return results;
}

}  // namespace bw
