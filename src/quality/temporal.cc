#include "quality/temporal.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>

namespace bw {
namespace {

// mean |term(i)| per transition. A frame of 2^31 / 510 elements and more is summed in parts.
template <typename Term>
std::vector<double> means(const at::Tensor& clip, const Term& term) {
  constexpr std::int64_t kChunk = 1 << 20;
  const std::int64_t size = clip[0].numel();
  std::vector<double> values(static_cast<std::size_t>(clip.size(0) - 1));
  at::parallel_for(0, clip.size(0) - 1, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::int64_t total = 0;
      for (std::int64_t first = 0; first < size; first += kChunk) {
        const std::int64_t last = std::min(first + kChunk, size);
        std::int32_t sum = 0;
        for (std::int64_t i = first; i < last; ++i) sum += std::abs(term(t * size + i, size));
        total += sum;
      }
      values[static_cast<std::size_t>(t)] = static_cast<double>(total) / static_cast<double>(size);
    }
  });
  return values;
}

}  // namespace

std::vector<double> frame_changes(const at::Tensor& clip) {
  const auto* x = clip.const_data_ptr<std::uint8_t>();
  return means(clip, [x](std::int64_t i, std::int64_t frame) { return x[i + frame] - x[i]; });
}

std::vector<double> change_differences(const at::Tensor& a, const at::Tensor& b) {
  const auto* x = a.const_data_ptr<std::uint8_t>();
  const auto* y = b.const_data_ptr<std::uint8_t>();
  return means(a, [x, y](std::int64_t i, std::int64_t frame) {
    return (x[i + frame] - x[i]) - (y[i + frame] - y[i]);
  });
}

}  // namespace bw
