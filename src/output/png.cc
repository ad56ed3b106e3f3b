#include "output/png.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "output/inflate.h"

namespace bw {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::size_t kChunkFrame = 12;  // length, type, CRC
constexpr std::uint32_t kMaxSide = 16384;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? 0xEDB88320U ^ value >> 1 : value >> 1;
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32(std::string_view bytes) {  // Annex D
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc_table();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ crc >> 8;
  }
  return crc ^ 0xFFFFFFFFU;
}

void append_be32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 0xFF));
}

std::uint32_t read_be32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void append_chunk(std::string& out, std::string_view type, std::string_view data) {
  append_be32(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t begin = out.size();
  out.append(type).append(data);
  append_be32(out, crc32(std::string_view(out).substr(begin)));
}

// A zlib stream of stored blocks (RFC 1951, §3.2.4).
std::string store_zlib(std::string_view bytes) {
  constexpr std::size_t kBlock = 65535;
  std::string out("\x78\x01", 2);
  for (std::size_t begin = 0; begin == 0 || begin < bytes.size(); begin += kBlock) {
    const std::string_view block = bytes.substr(begin, kBlock);
    out.push_back(begin + kBlock >= bytes.size() ? 1 : 0);
    for (const std::size_t field : {block.size(), ~block.size()}) {
      out.push_back(static_cast<char>(field & 0xFF));
      out.push_back(static_cast<char>(field >> 8 & 0xFF));
    }
    out.append(block);
  }
  append_be32(out, adler32(bytes));
  return out;
}

struct Header {
  std::size_t width = 0, height = 0;
  std::size_t channels = 0;  // in the file: 1, 3 or 4
};

Header parse_header(std::string_view data, const std::string& name) {
  if (data.size() != 13) throw InputError(name + ": damaged PNG header");
  const std::uint32_t width = read_be32(data);
  const std::uint32_t height = read_be32(data.substr(4));
  if (width == 0 || height == 0 || width > kMaxSide || height > kMaxSide) {
    throw InputError(name + ": size " + std::to_string(width) + "x" + std::to_string(height) +
                     " is outside 1 to " + std::to_string(kMaxSide));
  }
  const int depth = data[8];
  const int colour = data[9];
  const std::size_t channels = colour == 0 ? 1 : colour == 2 ? 3 : colour == 6 ? 4 : 0;
  if (depth != 8 || channels == 0 || data[12] != 0) {
    throw InputError(name +
                     ": only 8-bit grey, RGB and RGBA without interlacing can be read (bit depth " +
                     std::to_string(depth) + ", colour type " + std::to_string(colour) + ")");
  }
  return {width, height, channels};
}

std::uint8_t paeth(int left, int up, int corner) {  // §9.4
  const int estimate = left + up - corner;
  const int to_left = std::abs(estimate - left);
  const int to_up = std::abs(estimate - up);
  const int to_corner = std::abs(estimate - corner);
  if (to_left <= to_up && to_left <= to_corner) return static_cast<std::uint8_t>(left);
  return static_cast<std::uint8_t>(to_up <= to_corner ? up : corner);
}

// Undoes the row filters (§9.2) into pixels [H, W·channels].
std::vector<std::uint8_t> unfilter(std::string_view rows, const Header& header,
                                   const std::string& name) {
  const std::size_t stride = header.width * header.channels;
  std::vector<std::uint8_t> pixels(header.height * stride);
  for (std::size_t y = 0; y < header.height; ++y) {
    const std::string_view row = rows.substr(y * (stride + 1), stride + 1);
    const int filter = row[0];
    if (filter < 0 || filter > 4) throw InputError(name + ": damaged PNG: row filter");
    std::uint8_t* now = pixels.data() + y * stride;
    const std::uint8_t* above = y == 0 ? nullptr : now - stride;
    for (std::size_t x = 0; x < stride; ++x) {
      const int left = x < header.channels ? 0 : now[x - header.channels];
      const int up = above == nullptr ? 0 : above[x];
      const int corner = above == nullptr || x < header.channels ? 0 : above[x - header.channels];
      const int prediction = filter == 0   ? 0
                             : filter == 1 ? left
                             : filter == 2 ? up
                             : filter == 3 ? (left + up) / 2
                                           : paeth(left, up, corner);
      now[x] = static_cast<std::uint8_t>(static_cast<unsigned char>(row[x + 1]) + prediction);
    }
  }
  return pixels;
}

at::Tensor to_rgb(const std::vector<std::uint8_t>& pixels, const Header& header) {
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(header.height),
                                           static_cast<std::int64_t>(header.width),
                                           static_cast<std::int64_t>(header.channels)};
  const at::Tensor stored = at::empty(shape, at::kByte);
  std::memcpy(stored.data_ptr<std::uint8_t>(), pixels.data(), pixels.size());
  if (header.channels == 1) return stored.expand({-1, -1, 3}).contiguous();
  return stored.narrow(2, 0, 3).contiguous();
}

// keyword \0 compressed? method language \0 translated keyword \0 text; nothing for compressed or
// damaged ones.
void add_text(std::vector<PngText>& texts, std::string_view data) {
  const std::size_t keyword = data.find('\0');
  if (keyword == std::string_view::npos || data.size() < keyword + 3 || data[keyword + 1] != 0)
    return;
  const std::size_t language = data.find('\0', keyword + 3);
  if (language == std::string_view::npos) return;
  const std::size_t translated = data.find('\0', language + 1);
  if (translated == std::string_view::npos) return;
  texts.push_back({std::string(data.substr(0, keyword)), std::string(data.substr(translated + 1))});
}

}  // namespace

std::string encode_png(const PngImage& image) {
  const at::Tensor& pixels = image.pixels;
  BW_CHECK(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.scalar_type() == at::kByte &&
               pixels.is_contiguous() && pixels.is_cpu(),
           "pixels must be uint8 [H,W,3]");
  const auto height = static_cast<std::size_t>(pixels.size(0));
  const auto stride = static_cast<std::size_t>(pixels.size(1)) * 3;
  std::string header;
  append_be32(header, static_cast<std::uint32_t>(pixels.size(1)));
  append_be32(header, static_cast<std::uint32_t>(pixels.size(0)));
  header.append("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB, no interlacing
  std::string rows;
  rows.reserve(height * (stride + 1));
  const auto* data = reinterpret_cast<const char*>(pixels.const_data_ptr<std::uint8_t>());
  for (std::size_t y = 0; y < height; ++y) {
    rows.push_back(0);  // no filter
    rows.append(data + y * stride, stride);
  }
  std::string out(kSignature);
  append_chunk(out, "IHDR", header);
  for (const PngText& text : image.texts) {
    append_chunk(out, "iTXt", text.keyword + std::string(5, '\0') + text.text);
  }
  append_chunk(out, "IDAT", store_zlib(rows));
  append_chunk(out, "IEND", "");
  return out;
}

PngImage decode_png(std::string_view bytes, const std::string& name) {
  if (!bytes.starts_with(kSignature)) throw InputError(name + ": is not a PNG file");
  PngImage image;
  Header header;
  std::string compressed;
  std::string_view type;
  for (std::string_view rest = bytes.substr(kSignature.size()); type != "IEND";) {
    const std::size_t length = rest.size() < kChunkFrame ? 0 : read_be32(rest);
    if (rest.size() < kChunkFrame || rest.size() - kChunkFrame < length) {
      throw InputError(name + ": damaged PNG: it ends too early");
    }
    type = rest.substr(4, 4);
    const std::string_view data = rest.substr(8, length);
    if (crc32(rest.substr(4, length + 4)) != read_be32(rest.substr(length + 8))) {
      throw InputError(name + ": damaged PNG: checksum of chunk " + std::string(type));
    }
    if (type == "IHDR") header = parse_header(data, name);
    if (type == "IDAT") compressed.append(data);
    if (type == "iTXt") add_text(image.texts, data);
    rest.remove_prefix(length + kChunkFrame);
  }
  if (header.channels == 0) throw InputError(name + ": damaged PNG: no header");
  const std::size_t size = header.height * (header.width * header.channels + 1);
  const std::string rows = inflate_zlib(compressed, size, name);
  if (rows.size() != size) throw InputError(name + ": damaged PNG: pixels are missing");
  image.pixels = to_rgb(unfilter(rows, header, name), header);
  return image;
}

}  // namespace bw
