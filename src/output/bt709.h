// RGB to Y'CbCr and back by the matrix of ITU-R BT.709 (Rec. 709, §3), for the formats that are
// written and read without FFmpeg. Limited ("video") range: at 8 bits luma is 16 … 235, chroma 16 …
// 240.
//
// Note: [What survives] 8 bits of Y'CbCr hold fewer colours than 8 bits of RGB, so a round trip may
// be off by 2. With 10 bits it is exact: rounding moves luma by at most 0.5/876 and chroma by
// 0.5/896 of full scale, so no channel by more than (0.5/876 + 1.8556·0.5/896)·255 = 0.41 of a
// step.
#pragma once

#include <ATen/core/Tensor.h>

namespace bw {

struct CodeRange {
  int bits = 8;  // 8 or 10
  bool is_full_range = false;
};

// uint8 [n,H,W,3] RGB -> float64 [n,3,H,W] planes Y', Cb, Cr in code values, not yet rounded (so
// that chroma may be averaged first).
[[nodiscard]] at::Tensor rgb_to_ycbcr(const at::Tensor& frames, CodeRange range);

// float64 [n,3,H,W] code values -> uint8 [n,H,W,3], contiguous.
[[nodiscard]] at::Tensor ycbcr_to_rgb(const at::Tensor& planes, CodeRange range);

}  // namespace bw
