// Compares a clip with its reference by some metrics (metric.h). Read gate.h for limits on the
// result.
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
  Better better = Better::kHigher;
  ValueOf value_of = ValueOf::kFrame;
  std::vector<double> values;    // one per frame, per transition (t to t+1), or one
  double mean = 0;               // over values
  double p10 = 0;                // the value that a tenth of the values reach or fall behind
  double worst = 0;              // of one value
  std::int64_t worst_frame = 0;  // the first that has it; of a transition its first frame
};

// Mean, p10 and worst of values of one metric, at least one. p10 is one of the values, not between
// two: number floor((n-1)/10), counted from the worst.
[[nodiscard]] MetricResult summarize(const MetricInfo& metric, std::vector<double> values);

// video, reference: uint8 [n,H,W,3] or f32 [1,C,F,H,W] on the CPU. Throws InputError when kinds,
// frame counts or sizes differ, are too small for a metric or not what it measures, or latents are
// not finite: comparing part of a clip must be asked for by cutting both.
[[nodiscard]] std::vector<MetricResult> compare(const at::Tensor& video,
                                                const at::Tensor& reference,
                                                std::span<const MetricInfo> metrics);

}  // namespace bw
