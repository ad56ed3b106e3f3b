// Frame rates as exact fractions, which is how files store them.
#pragma once

#include <cstdint>

namespace bw {

struct FrameRate {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
  [[nodiscard]] double value() const {
    return static_cast<double>(numerator) / static_cast<double>(denominator);
  }
};

// 12 -> 12/1, 12.5 -> 25/2, 23.976 and 23.98 -> 24000/1001 (likewise 29.97, 59.94, …); otherwise
// the fraction with the smallest denominator <= 1001 within 1e-6 of the value, or the nearest one.
// fps must be finite and positive.
[[nodiscard]] FrameRate to_frame_rate(double fps);

}  // namespace bw
