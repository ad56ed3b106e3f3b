// How far a video is from its reference, frame by frame. Read psnr.cc for the smallest metric;
// metrics.inc is the table; compare.h applies metrics to two clips. Definitions are those of the
// caching literature (the evaluation scripts shared by PAB, TeaCache and MagCache), so that numbers
// can be set beside published ones.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/origin.h"

namespace bw {

struct MetricInfo {
  std::string_view name;  // "psnr"
  std::string_view unit;  // "dB", or "" for a pure number
  std::string_view summary;
  bool higher_is_better = true;
  int min_side = 1;  // smallest width and height it is defined for
  // One value per frame. a, b: uint8 [n,H,W,3], n >= 1, same shape, CPU; compare() checks them.
  std::vector<double> (*per_frame)(const at::Tensor& a, const at::Tensor& b) = nullptr;
};

[[nodiscard]] std::span<const MetricInfo> metrics();
// Rejects an unknown name with the nearest known one.
[[nodiscard]] const MetricInfo& find_metric(std::string_view name, const Origin& origin);

}  // namespace bw
