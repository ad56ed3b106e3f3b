#include "output/frame_rate.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bw {
namespace {

constexpr std::int64_t kMaxDenominator = 1001;
// Television rates are n·1000/1001 and are written with two or three decimals.
constexpr std::array<std::int64_t, 5> kNtscNominal = {24, 30, 48, 60, 120};
constexpr double kNtscTolerance = 0.005;

}  // namespace

FrameRate to_frame_rate(double fps) {
  for (const std::int64_t nominal : kNtscNominal) {
    const FrameRate ntsc{nominal * 1000, 1001};
    if (std::abs(fps - ntsc.value()) < kNtscTolerance) return ntsc;
  }
  FrameRate best{std::max<std::int64_t>(1, std::llround(fps)), 1};
  for (std::int64_t denominator = 2; denominator <= kMaxDenominator; ++denominator) {
    if (std::abs(best.value() - fps) <= 1e-6 * fps) break;
    const std::int64_t numerator = std::llround(fps * static_cast<double>(denominator));
    const FrameRate candidate{std::max<std::int64_t>(1, numerator), denominator};
    if (std::abs(candidate.value() - fps) < std::abs(best.value() - fps)) best = candidate;
  }
  return best;
}

}  // namespace bw
