// Compares a clip with its reference by some metrics (metric.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quality/metric.h"

namespace bw {

struct MetricResult {
  std::string name;
  std::string unit;
  bool higher_is_better = true;
  std::vector<double> per_frame;
  double mean = 0;               // over frames
  double worst = 0;              // of one frame
  std::int64_t worst_frame = 0;  // the first frame that has it
};

// video, reference: uint8 [n,H,W,3] on the CPU. Throws InputError when frame counts or sizes differ
// or are too small for a metric: comparing part of a clip must be asked for by cutting both.
[[nodiscard]] std::vector<MetricResult> compare(const at::Tensor& video,
                                                const at::Tensor& reference,
                                                std::span<const MetricInfo> metrics);

}  // namespace bw
