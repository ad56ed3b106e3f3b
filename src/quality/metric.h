// How far a clip is from its reference. Read psnr.cc for the smallest metric; metrics.inc is the
// table; compare.h applies metrics to two clips. PSNR, SSIM and LPIPS are those of the caching
// literature (the evaluation scripts shared by PAB, TeaCache and MagCache), so that numbers can be
// set beside published ones.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "base/origin.h"

namespace bw {

enum class Better { kHigher, kLower, kNearestOne };

// What a clip is made of: uint8 [n,H,W,3] frames, or f32 [1,C,F,H,W] latents before decoding.
enum class ClipKind { kFrames, kLatents };

// What one value belongs to: a frame, two consecutive frames, or the whole clip.
enum class ValueOf { kFrame, kTransition, kClip };

struct MetricInfo {
  std::string_view name;  // "psnr"
  std::string_view unit;  // "dB", or "" for a pure number
  std::string_view summary;
  Better better = Better::kHigher;
  ClipKind kind = ClipKind::kFrames;
  ValueOf value_of = ValueOf::kFrame;
  int min_side = 1;    // smallest width and height it is defined for
  int min_frames = 1;  // 2 for what compares consecutive frames
  // Whether it needs weights that are not part of the program; null when it needs none. Where they
  // are, or an InputError that says how to get them.
  std::filesystem::path (*find_asset)() = nullptr;
  // One value per frame, per transition, or one. Same shape, CPU; compare() checks both. A value
  // may be infinite where the definition says so, but is never NaN.
  std::vector<double> (*measure)(const at::Tensor& video, const at::Tensor& reference) = nullptr;
};

[[nodiscard]] std::span<const MetricInfo> metrics();
// Rejects an unknown name with the nearest known one.
[[nodiscard]] const MetricInfo& find_metric(std::string_view name, const Origin& origin);
// What is measured when nobody chose: every metric for clips of this kind, size and length that
// needs no asset.
[[nodiscard]] std::vector<MetricInfo> usual_metrics(const at::Tensor& clip);

[[nodiscard]] std::string_view to_string(Better better);     // "higher", "lower", "nearest 1"
[[nodiscard]] std::string_view to_string(ClipKind kind);     // "frames", "latents"
[[nodiscard]] std::string_view to_string(ValueOf value_of);  // "frame", "transition", "clip"

// How bad a value is; larger is worse. For kNearestOne |log value|, so that 2 and 0.5 are alike.
[[nodiscard]] double badness(Better better, double value);

}  // namespace bw
