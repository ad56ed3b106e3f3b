// SSIM (Wang et al., 2004, "Image quality assessment: from error visibility to structural
// similarity", eq. 13) of each RGB channel: Gaussian window 11x11 with sigma 1.5, C1 = (0.01·255)²,
// C2 = (0.03·255)² for bytes, biased variances, and only where the whole window lies inside the
// frame (5 pixels less at each side); mean over the map, then over channels. Sums over the window
// are in float64. The same for any number of threads.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "quality/metric.h"

namespace bw {
namespace {

constexpr int kRadius = 5;
constexpr int kWindow = 2 * kRadius + 1;
constexpr int kMaps = 4;             // a, b, a² + b², ab: all that eq. 13 needs to know
constexpr int kChannels = 3;         // interleaved, so neighbours of one channel are 3 apart
constexpr std::int64_t kStrip = 16;  // rows of the map that are computed from one set of input rows
constexpr double kSigma = 1.5;
constexpr double kC1 = (0.01 * 255) * (0.01 * 255);
constexpr double kC2 = (0.03 * 255) * (0.03 * 255);

using Weights = std::array<double, kRadius + 1>;  // by distance from the centre

Weights gaussian() {
  Weights weights{};
  double sum = 0;
  for (int i = 0; i <= kRadius; ++i) {
    const double weight = std::exp(-i * i / (2 * kSigma * kSigma));
    weights[static_cast<std::size_t>(i)] = weight;
    sum += i == 0 ? weight : 2 * weight;
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

// What one thread needs for a strip: the maps of its input rows, and one row of their blur.
struct Scratch {
  explicit Scratch(std::int64_t row)
      : length(row),
        maps(static_cast<std::size_t>((kStrip + kWindow - 1) * kMaps * row)),
        blurred(static_cast<std::size_t>(kMaps * row)),
        similarity(static_cast<std::size_t>(row)) {}
  float* map(std::int64_t row, int which) { return maps.data() + (row * kMaps + which) * length; }
  double* blur(int which) { return blurred.data() + which * length; }

  std::int64_t length;  // elements of a row: width · 3
  std::vector<float> maps;
  std::vector<double> blurred;
  std::vector<double> similarity;
};

// Whole numbers below 2^24, so exact in float32.
void fill_maps(const std::uint8_t* a, const std::uint8_t* b, std::int64_t row, Scratch& scratch) {
  float* const first = scratch.map(row, 0);
  float* const second = scratch.map(row, 1);
  float* const squares = scratch.map(row, 2);
  float* const product = scratch.map(row, 3);
  for (std::int64_t i = 0; i < scratch.length; ++i) {
    const float x = a[i];
    const float y = b[i];
    first[i] = x;
    second[i] = y;
    squares[i] = x * x + y * y;
    product[i] = x * y;
  }
}

void blur_down(const Weights& weights, std::int64_t top, Scratch& scratch) {
  for (int which = 0; which < kMaps; ++which) {
    double* const out = scratch.blur(which);
    const float* const centre = scratch.map(top + kRadius, which);
    for (std::int64_t i = 0; i < scratch.length; ++i) out[i] = weights[0] * centre[i];
    for (int k = 1; k <= kRadius; ++k) {
      const double weight = weights[static_cast<std::size_t>(k)];
      const float* const above = scratch.map(top + kRadius - k, which);
      const float* const below = scratch.map(top + kRadius + k, which);
      for (std::int64_t i = 0; i < scratch.length; ++i) out[i] += weight * (above[i] + below[i]);
    }
  }
}

double blur_across(const Weights& weights, const double* values) {
  double sum = weights[0] * values[0];
  for (int k = 1; k <= kRadius; ++k) {
    sum += weights[static_cast<std::size_t>(k)] * (values[-k * kChannels] + values[k * kChannels]);
  }
  return sum;
}

// Sum of the similarity over one row of the map.
double row_sum(const Weights& weights, Scratch& scratch) {
  constexpr std::int64_t kMargin = kRadius * kChannels;
  const std::int64_t end = scratch.length - kMargin;
  std::vector<double>& map = scratch.similarity;
  for (std::int64_t i = kMargin; i < end; ++i) {
    const double mean_a = blur_across(weights, scratch.blur(0) + i);
    const double mean_b = blur_across(weights, scratch.blur(1) + i);
    const double squares = blur_across(weights, scratch.blur(2) + i);
    const double product = blur_across(weights, scratch.blur(3) + i);
    const double means = mean_a * mean_b;
    const double energy = mean_a * mean_a + mean_b * mean_b;
    map[static_cast<std::size_t>(i)] = (2 * means + kC1) * (2 * (product - means) + kC2) /
                                       ((energy + kC1) * (squares - energy + kC2));
  }
  return std::accumulate(map.begin() + kMargin, map.begin() + end, 0.0);
}

struct FramePair {
  const std::uint8_t* a;
  const std::uint8_t* b;
  std::int64_t row;  // bytes
};

// Sums of the rows [first, first + sums.size()) of the map of one frame.
void strip_sums(const FramePair& frames, std::int64_t first, Scratch& scratch,
                std::span<double> sums) {
  static const Weights kWeights = gaussian();
  const auto rows = static_cast<std::int64_t>(sums.size());
  for (std::int64_t y = 0; y < rows + kWindow - 1; ++y) {
    const std::int64_t offset = (first + y) * frames.row;
    fill_maps(frames.a + offset, frames.b + offset, y, scratch);
  }
  for (std::int64_t y = 0; y < rows; ++y) {
    blur_down(kWeights, y, scratch);
    sums[static_cast<std::size_t>(y)] = row_sum(kWeights, scratch);
  }
}

std::vector<double> ssim(const at::Tensor& video, const at::Tensor& reference) {
  const std::int64_t height = video.size(1);
  const std::int64_t row = video.size(2) * kChannels;
  const std::int64_t rows = height - kWindow + 1;
  const std::int64_t strips = (rows + kStrip - 1) / kStrip;
  std::vector<double> sums(static_cast<std::size_t>(video.size(0) * rows));
  at::parallel_for(0, video.size(0) * strips, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(row);
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t frame = task / strips;
      const std::int64_t first = task % strips * kStrip;
      const std::int64_t offset = frame * height * row;
      const FramePair frames{video.const_data_ptr<std::uint8_t>() + offset,
                             reference.const_data_ptr<std::uint8_t>() + offset, row};
      const std::int64_t count = std::min(kStrip, rows - first);
      strip_sums(frames, first, scratch,
                 {sums.data() + frame * rows + first, static_cast<std::size_t>(count)});
    }
  });
  // All channels have as many positions, so the mean of all is the mean of the channels' means.
  const auto positions = static_cast<double>(rows * (row - (kWindow - 1) * kChannels));
  std::vector<double> values;
  for (auto first = sums.begin(); first != sums.end(); first += rows) {
    values.push_back(std::accumulate(first, first + rows, 0.0) / positions);
  }
  return values;
}

}  // namespace

MetricInfo ssim_metric() {
  return {.name = "ssim",
          .unit = "",
          .summary = "structural similarity per RGB channel, 1 for equal frames",
          .better = Better::kHigher,
          .min_side = kWindow,
          .measure = ssim};
}

}  // namespace bw
