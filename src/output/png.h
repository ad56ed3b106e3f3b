// PNG files (ISO/IEC 15948) in memory: written without compression, so that no library is needed;
// read with any compression. Read png_sequence.cc for the writer that makes a clip of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

// An iTXt chunk; `text` is UTF-8.
struct PngText {
  std::string keyword;  // 1 to 79 Latin-1 characters
  std::string text;
};

struct PngImage {
  at::Tensor pixels;  // uint8 [H,W,3]
  std::vector<PngText> texts;
};

// pixels: uint8 [H,W,3], contiguous, CPU.
[[nodiscard]] std::string encode_png(const PngImage& image);

// Reads 8-bit grey, RGB and RGBA (alpha is dropped) that is not interlaced; compressed texts are
// passed over. Throws InputError, beginning with `name`, for anything else and for damage.
[[nodiscard]] PngImage decode_png(std::string_view bytes, const std::string& name);

}  // namespace bw
