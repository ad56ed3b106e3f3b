#include "output/bt709.h"

#include <ATen/ATen.h>

namespace bw {
namespace {

// Rec. 709: Y' = Kr·R + Kg·G + Kb·B, Cb = (B − Y') / (2·(1 − Kb)), Cr = (R − Y') / (2·(1 − Kr)).
constexpr double kRed = 0.2126;
constexpr double kBlue = 0.0722;
constexpr double kGreen = 1.0 - kRed - kBlue;
constexpr double kCbScale = 2.0 * (1.0 - kBlue);  // 1.8556
constexpr double kCrScale = 2.0 * (1.0 - kRed);   // 1.5748

// Code value = offset + scale·signal, with luma in [0, 1] and chroma in [−0.5, 0.5].
struct Quantiser {
  double luma_offset, luma_scale, chroma_offset, chroma_scale;
};

Quantiser quantiser(CodeRange range) {
  const double unit = static_cast<double>(1 << (range.bits - 8));
  const double top = static_cast<double>((1 << range.bits) - 1);
  if (range.is_full_range) return {0.0, top, 128.0 * unit, top};
  return {16.0 * unit, 219.0 * unit, 128.0 * unit, 224.0 * unit};
}

}  // namespace

at::Tensor rgb_to_ycbcr(const at::Tensor& frames, CodeRange range) {
  const Quantiser q = quantiser(range);
  const at::Tensor rgb = frames.to(at::kDouble).div_(255.0);
  const at::Tensor red = rgb.select(3, 0);
  const at::Tensor blue = rgb.select(3, 2);
  const at::Tensor luma = red * kRed + rgb.select(3, 1) * kGreen + blue * kBlue;
  const at::Tensor cb = (blue - luma) / kCbScale;
  const at::Tensor cr = (red - luma) / kCrScale;
  return at::stack({luma * q.luma_scale + q.luma_offset, cb * q.chroma_scale + q.chroma_offset,
                    cr * q.chroma_scale + q.chroma_offset},
                   1);
}

at::Tensor ycbcr_to_rgb(const at::Tensor& planes, CodeRange range) {
  const Quantiser q = quantiser(range);
  const at::Tensor luma = (planes.select(1, 0) - q.luma_offset) / q.luma_scale;
  const at::Tensor cb = (planes.select(1, 1) - q.chroma_offset) / q.chroma_scale;
  const at::Tensor cr = (planes.select(1, 2) - q.chroma_offset) / q.chroma_scale;
  const at::Tensor red = luma + cr * kCrScale;
  const at::Tensor blue = luma + cb * kCbScale;
  const at::Tensor green = (luma - red * kRed - blue * kBlue) / kGreen;
  return at::stack({red, green, blue}, 3).mul_(255.0).round_().clamp_(0.0, 255.0).to(at::kByte);
}

}  // namespace bw
