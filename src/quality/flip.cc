// LDR-FLIP (Andersson et al., 2020, "FLIP: A Difference Evaluator for Alternating Images"): how
// much one notices when the two frames are flipped on one screen; 0 for equal frames, 1 for the
// largest difference. At 67 pixels per degree, the default of NVIDIA's implementation (0.7 m from a
// screen 0.7 m and 3840 pixels wide). Mean of the map per frame; borders repeat the last pixel.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "quality/metric.h"

namespace bw {
namespace {

constexpr double kPixelsPerDegree = 3840 * std::numbers::pi / 180;
constexpr float kColourExponent = 0.7F;    // q_c
constexpr float kColourKnee = 0.4F;        // p_c, in units of the largest distance
constexpr float kColourKneeValue = 0.95F;  // p_t
constexpr double kDetectorWidth = 0.082;   // w, in degrees

using Taps = std::vector<float>;   // odd number, centre in the middle
using Plane = std::vector<float>;  // [H,W]
using Colour = std::array<float, 3>;

struct Picture {
  std::array<Plane, 3> planes;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

struct Filters {
  Taps achromatic, red_green;
  std::array<Taps, 2> blue_yellow;  // two Gaussians, whose results are added
  Taps smooth, edge, point;         // Gaussian, first and second derivative
};

std::vector<double> sampled(int radius, const auto& function) {
  std::vector<double> values;
  for (int x = -radius; x <= radius; ++x) values.push_back(function(static_cast<double>(x)));
  return values;
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

Taps scaled(const std::vector<double>& values, double factor) {
  Taps taps;
  for (const double value : values) taps.push_back(static_cast<float>(value * factor));
  return taps;
}

// Positive and negative weights sum to 1 and -1.
Taps balanced(const std::vector<double>& values) {
  double positive = 0;
  double negative = 0;
  for (const double value : values) (value > 0 ? positive : negative) += std::abs(value);
  Taps taps;
  for (const double value : values) {
    taps.push_back(static_cast<float>(value / (value > 0 ? positive : negative)));
  }
  return taps;
}

// The contrast sensitivity of the eye (section 4.1.1), one dimension of a·√(π/b)·exp(-π²x²/b), x in
// degrees.
Filters make_filters() {
  constexpr double kPi = std::numbers::pi;
  constexpr double kWidest = 0.04;  // the largest b
  const int radius =
      static_cast<int>(std::ceil(3 * std::sqrt(kWidest / (2 * kPi * kPi)) * kPixelsPerDegree));
  const auto gaussian = [&](double a, double b) {
    return sampled(radius, [=](double x) {
      const double degrees = x / kPixelsPerDegree;
      return std::sqrt(a * std::sqrt(kPi / b)) * std::exp(-kPi * kPi * degrees * degrees / b);
    });
  };
  const std::vector<double> achromatic = gaussian(1, 0.0047);
  const std::vector<double> red_green = gaussian(1, 0.0053);
  const std::vector<double> first = gaussian(34.1, 0.04);
  const std::vector<double> second = gaussian(13.5, 0.025);
  const double both = 1 / std::hypot(sum_of(first), sum_of(second));
  const double deviation = 0.5 * kDetectorWidth * kPixelsPerDegree;
  const auto bell = [=](double x) { return std::exp(-x * x / (2 * deviation * deviation)); };
  const int reach = static_cast<int>(std::ceil(3 * deviation));
  const std::vector<double> smooth = sampled(reach, bell);
  return {.achromatic = scaled(achromatic, 1 / sum_of(achromatic)),
          .red_green = scaled(red_green, 1 / sum_of(red_green)),
          .blue_yellow = {scaled(first, both), scaled(second, both)},
          .smooth = scaled(smooth, 1 / sum_of(smooth)),
          .edge = balanced(sampled(reach, [=](double x) { return -x * bell(x); })),
          .point = balanced(sampled(
              reach, [=](double x) { return (x * x / (deviation * deviation) - 1) * bell(x); }))};
}

Plane filter_across(const Plane& in, std::int64_t width, const Taps& taps) {
  const auto radius = static_cast<std::int64_t>(taps.size() / 2);
  Plane out(in.size(), 0.0F);
  std::vector<float> padded(static_cast<std::size_t>(width + 2 * radius));
  for (auto row = in.begin(); row != in.end(); row += width) {
    std::fill_n(padded.begin(), radius, row[0]);
    std::copy_n(row, width, padded.begin() + radius);
    std::fill_n(padded.end() - radius, radius, row[width - 1]);
    float* const target = out.data() + (row - in.begin());
    for (std::size_t k = 0; k < taps.size(); ++k) {
      const float* const source = padded.data() + k;
      for (std::int64_t x = 0; x < width; ++x) target[x] += taps[k] * source[x];
    }
  }
  return out;
}

// Adds to `out`.
void filter_down(const Plane& in, std::int64_t width, const Taps& taps, Plane& out) {
  const auto radius = static_cast<std::int64_t>(taps.size() / 2);
  const std::int64_t height = static_cast<std::int64_t>(in.size()) / width;
  for (std::int64_t y = 0; y < height; ++y) {
    float* const target = out.data() + y * width;
    for (std::size_t k = 0; k < taps.size(); ++k) {
      const std::int64_t row =
          std::clamp<std::int64_t>(y + static_cast<std::int64_t>(k) - radius, 0, height - 1);
      const float* const source = in.data() + row * width;
      for (std::int64_t x = 0; x < width; ++x) target[x] += taps[k] * source[x];
    }
  }
}

Plane blurred(const Plane& in, std::int64_t width, const Taps& taps) {
  Plane out(in.size(), 0.0F);
  filter_down(filter_across(in, width, taps), width, taps, out);
  return out;
}

const std::array<float, 256>& linear_of_srgb() {
  static const std::array<float, 256> kTable = [] {
    std::array<float, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
      const double s = static_cast<double>(i) / 255;
      table[i] = static_cast<float>(s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4));
    }
    return table;
  }();
  return kTable;
}

// Linear RGB to XYZ for the white D65, each relative to that white.
Colour relative_xyz(const Colour& rgb) {
  constexpr std::array<float, 3> kInverseWhite = {1.052156925F, 1.0F, 0.918357670F};
  constexpr std::array<Colour, 3> kRows = {
      Colour{10135552.0F / 24577794, 8788810.0F / 24577794, 4435075.0F / 24577794},
      Colour{2613072.0F / 12288897, 8788810.0F / 12288897, 887015.0F / 12288897},
      Colour{1425312.0F / 73733382, 8788810.0F / 73733382, 70074185.0F / 73733382}};
  Colour xyz{};
  for (std::size_t i = 0; i < 3; ++i) {
    xyz[i] =
        kInverseWhite[i] * (kRows[i][0] * rgb[0] + kRows[i][1] * rgb[1] + kRows[i][2] * rgb[2]);
  }
  return xyz;
}

// Y·C_x·C_z of the linearised CIELAB (section 4.1), to linear RGB within [0,1].
Colour clamped_rgb(float y, float cx, float cz) {
  constexpr std::array<float, 3> kWhite = {0.950428545F, 1.0F, 1.088900371F};
  constexpr std::array<Colour, 3> kRows = {Colour{3.241003275F, -1.537398934F, -0.498615861F},
                                           Colour{-0.969224334F, 1.875930071F, 0.041554224F},
                                           Colour{0.055639423F, -0.204011202F, 1.057148933F}};
  const float level = (y + 16) / 116;
  const Colour xyz = {(level + cx / 500) * kWhite[0], level * kWhite[1],
                      (level - cz / 200) * kWhite[2]};
  Colour rgb{};
  for (std::size_t i = 0; i < 3; ++i) {
    rgb[i] =
        std::clamp(kRows[i][0] * xyz[0] + kRows[i][1] * xyz[1] + kRows[i][2] * xyz[2], 0.0F, 1.0F);
  }
  return rgb;
}

// CIELAB with the Hunt adjustment of its chroma (section 4.1.2).
Colour hunt_lab(const Colour& rgb) {
  constexpr float kDelta = 6.0F / 29;
  Colour f = relative_xyz(rgb);
  for (float& value : f) {
    value = value > kDelta * kDelta * kDelta ? std::cbrt(value)
                                             : value / (3 * kDelta * kDelta) + 4.0F / 29;
  }
  const float lightness = 116 * f[1] - 16;
  return {lightness, 0.01F * lightness * 500 * (f[0] - f[1]),
          0.01F * lightness * 200 * (f[1] - f[2])};
}

float colour_distance(const Colour& a, const Colour& b) {
  const float hyab = std::abs(a[0] - b[0]) + std::hypot(a[1] - b[1], a[2] - b[2]);
  return std::pow(hyab, kColourExponent);
}

// Distances up to the knee take most of [0,1] (section 4.1.3).
float remapped(float distance) {
  static const float kLargest = colour_distance(hunt_lab({0, 1, 0}), hunt_lab({0, 0, 1}));
  const float knee = kColourKnee * kLargest;
  if (distance < knee) return distance * kColourKneeValue / knee;
  return kColourKneeValue + (distance - knee) / (kLargest - knee) * (1 - kColourKneeValue);
}

// frame: uint8 [H,W,3] to Y, C_x, C_z.
Picture opponent_colours(const at::Tensor& frame) {
  Picture picture{.planes = {}, .height = frame.size(0), .width = frame.size(1)};
  const auto* bytes = frame.const_data_ptr<std::uint8_t>();
  const std::array<float, 256>& linear = linear_of_srgb();
  const auto count = static_cast<std::size_t>(picture.height * picture.width);
  for (Plane& plane : picture.planes) plane.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* rgb = bytes + 3 * i;
    const Colour xyz = relative_xyz({linear[rgb[0]], linear[rgb[1]], linear[rgb[2]]});
    picture.planes[0][i] = 116 * xyz[1] - 16;
    picture.planes[1][i] = 500 * (xyz[0] - xyz[1]);
    picture.planes[2][i] = 200 * (xyz[1] - xyz[2]);
  }
  return picture;
}

// As the eye sees it from that distance.
Picture seen(const Picture& picture, const Filters& filters) {
  const std::int64_t width = picture.width;
  Picture result{.planes = {blurred(picture.planes[0], width, filters.achromatic),
                            blurred(picture.planes[1], width, filters.red_green),
                            blurred(picture.planes[2], width, filters.blue_yellow[0])},
                 .height = picture.height,
                 .width = width};
  filter_down(filter_across(picture.planes[2], width, filters.blue_yellow[1]), width,
              filters.blue_yellow[1], result.planes[2]);
  return result;
}

struct Features {
  Plane edge, point;  // magnitudes
};

Plane magnitude(Plane across, const Plane& down) {
  for (std::size_t i = 0; i < across.size(); ++i) {
    across[i] = std::sqrt(across[i] * across[i] + down[i] * down[i]);
  }
  return across;
}

// Of the luminance Y, in [0,1] (section 4.2).
Features features(const Plane& luminance, std::int64_t width, const Filters& filters) {
  Plane normalized(luminance.size());
  for (std::size_t i = 0; i < luminance.size(); ++i) normalized[i] = (luminance[i] + 16) / 116;
  const Plane smooth = filter_across(normalized, width, filters.smooth);
  const auto detect = [&](const Taps& detector) {
    Plane across(luminance.size(), 0.0F);
    filter_down(filter_across(normalized, width, detector), width, filters.smooth, across);
    Plane down(luminance.size(), 0.0F);
    filter_down(smooth, width, detector, down);
    return magnitude(std::move(across), down);
  };
  return {detect(filters.edge), detect(filters.point)};
}

double frame_flip(const at::Tensor& a, const at::Tensor& b, const Filters& filters) {
  const Picture first = opponent_colours(a);
  const Picture second = opponent_colours(b);
  const Features edges_a = features(first.planes[0], first.width, filters);
  const Features edges_b = features(second.planes[0], second.width, filters);
  const Picture seen_a = seen(first, filters);
  const Picture seen_b = seen(second, filters);
  const std::size_t count = first.planes[0].size();
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto lab = [i](const Picture& picture) {
      return hunt_lab(
          clamped_rgb(picture.planes[0][i], picture.planes[1][i], picture.planes[2][i]));
    };
    const float colour = remapped(colour_distance(lab(seen_a), lab(seen_b)));
    const float feature = std::max(std::abs(edges_a.edge[i] - edges_b.edge[i]),
                                   std::abs(edges_a.point[i] - edges_b.point[i]));
    sum += std::pow(colour, 1 - std::sqrt(feature * std::numbers::sqrt2_v<float> / 2));
  }
  return sum / static_cast<double>(count);
}

std::vector<double> flip(const at::Tensor& video, const at::Tensor& reference) {
  static const Filters kFilters = make_filters();
  std::vector<double> values(static_cast<std::size_t>(video.size(0)));
  at::parallel_for(0, video.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      values[static_cast<std::size_t>(i)] = frame_flip(video[i], reference[i], kFilters);
    }
  });
  return values;
}

}  // namespace

MetricInfo flip_metric() {
  return {.name = "flip",
          .unit = "",
          .summary =
              "FLIP: difference seen when flipping between the frames, at 67 pixels per "
              "degree; 0 for equal frames",
          .better = Better::kLower,
          .measure = flip};
}

}  // namespace bw
