// Reads progressive Y4M in the samplings that y4m.cc writes, and 4:2:0 of other programs; chroma is
// interpolated linearly as if it lay in the middle of its 2x2 pixels.
#include <ATen/ATen.h>

#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "output/bt709.h"
#include "output/readers.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "YUV4MPEG2 ";
constexpr std::size_t kMaxHeader = 4096;
constexpr int kMaxSide = 16384;

struct Y4mHeader {
  int width = 0;
  int height = 0;
  double fps = 0;
  bool is_halved = true;  // chroma is 4:2:0
  CodeRange range;
  std::size_t size = 0;  // bytes, with the newline
};

class HeaderParser {
 public:
  HeaderParser(std::string_view bytes, std::string name) : name_(std::move(name)) {
    const std::size_t end = bytes.substr(0, kMaxHeader).find('\n');
    if (!bytes.starts_with(kMagic) || end == std::string_view::npos) fail("is not a Y4M file");
    header_.size = end + 1;
    for (std::string_view rest = bytes.substr(kMagic.size(), end - kMagic.size()); !rest.empty();) {
      const std::size_t space = std::min(rest.find(' '), rest.size());
      if (space > 0) field(rest[0], rest.substr(1, space - 1));
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
  }

  Y4mHeader result() const {
    if (header_.width < 1 || header_.height < 1 || header_.width > kMaxSide ||
        header_.height > kMaxSide) {
      fail("width and height must be 1 to " + std::to_string(kMaxSide));
    }
    return header_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(name_ + ": " + what); }

  int number(std::string_view text) const {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      fail("damaged Y4M header: '" + std::string(text) + "' is no number");
    }
    return value;
  }

  void field(char key, std::string_view value) {
    if (key == 'W') header_.width = number(value);
    if (key == 'H') header_.height = number(value);
    if (key == 'F') frame_rate(value);
    if (key == 'I' && value != "p" && value != "?") fail("interlaced Y4M cannot be read");
    if (key == 'C') sampling(value);
    if (key == 'X' && value == "COLORRANGE=FULL") header_.range.is_full_range = true;
  }

  void frame_rate(std::string_view value) {
    const std::size_t colon = std::min(value.find(':'), value.size() - 1);
    const int denominator = number(value.substr(colon + 1));
    if (denominator > 0)
      header_.fps = static_cast<double>(number(value.substr(0, colon))) / denominator;
  }

  void sampling(std::string_view value) {
    const bool is_420 =
        value == "420" || value == "420jpeg" || value == "420mpeg2" || value == "420paldv";
    if (!is_420 && value != "444" && value != "444p10") {
      fail("sampling '" + std::string(value) + "' cannot be read; use 420, 444 or 444p10");
    }
    header_.is_halved = is_420;
    header_.range.bits = value == "444p10" ? 10 : 8;
  }

  std::string name_;
  Y4mHeader header_;
};

class Y4mReader final : public VideoReader {
 public:
  explicit Y4mReader(const fs::path& path)
      : name_(path.string()), file_(path), header_(HeaderParser(bytes(), name_).result()) {
    const std::size_t sample = header_.range.bits > 8 ? 2 : 1;
    const auto luma =
        static_cast<std::size_t>(header_.width) * static_cast<std::size_t>(header_.height);
    chroma_height_ = header_.is_halved ? (header_.height + 1) / 2 : header_.height;
    chroma_width_ = header_.is_halved ? (header_.width + 1) / 2 : header_.width;
    luma_bytes_ = luma * sample;
    chroma_bytes_ =
        static_cast<std::size_t>(chroma_height_) * static_cast<std::size_t>(chroma_width_) * sample;
    info_.width = header_.width;
    info_.height = header_.height;
    if (header_.fps > 0) info_.fps = header_.fps;
    find_frames();
    info_.num_frames = static_cast<std::int64_t>(frames_.size());
  }

  [[nodiscard]] const VideoInfo& info() const override { return info_; }

  [[nodiscard]] at::Tensor read(std::int64_t max_frames) override {
    const std::int64_t count = std::min(max_frames, info_.num_frames - next_);
    at::Tensor frames = at::empty({count, info_.height, info_.width, 3}, at::kByte);
    for (std::int64_t i = 0; i < count; ++i, ++next_) {
      frames.narrow(0, i, 1).copy_(read_frame(frames_[static_cast<std::size_t>(next_)]));
    }
    return frames;
  }

 private:
  [[nodiscard]] std::string_view bytes() const {
    return {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
  }

  // Every frame begins with a line "FRAME", which may hold parameters.
  void find_frames() {
    const std::size_t frame_bytes = luma_bytes_ + 2 * chroma_bytes_;
    for (std::size_t position = header_.size; position < bytes().size(); position += frame_bytes) {
      const std::string_view rest = bytes().substr(position);
      const std::size_t line = rest.substr(0, kMaxHeader).find('\n');
      if (!rest.starts_with("FRAME") || line == std::string_view::npos ||
          rest.size() - line - 1 < frame_bytes) {
        throw InputError(name_ + ": frame " + std::to_string(frames_.size()) +
                         " is damaged or cut off at byte " + std::to_string(position));
      }
      position += line + 1;
      frames_.push_back(position);
    }
  }

  // float64 [1,1,height,width]
  [[nodiscard]] at::Tensor plane(std::size_t offset, int height, int width) const {
    const bool is_wide = header_.range.bits > 8;
    const at::Tensor codes = at::empty({1, 1, height, width}, is_wide ? at::kShort : at::kByte);
    std::memcpy(codes.data_ptr(), bytes().data() + offset, codes.nbytes());
    return codes.to(at::kDouble);
  }

  [[nodiscard]] at::Tensor read_frame(std::size_t offset) const {
    const at::Tensor luma = plane(offset, info_.height, info_.width);
    at::Tensor chroma =
        at::cat({plane(offset + luma_bytes_, chroma_height_, chroma_width_),
                 plane(offset + luma_bytes_ + chroma_bytes_, chroma_height_, chroma_width_)},
                1);
    if (header_.is_halved) {
      chroma = at::upsample_bilinear2d(chroma, {2L * chroma_height_, 2L * chroma_width_}, false)
                   .narrow(2, 0, info_.height)
                   .narrow(3, 0, info_.width);
    }
    return ycbcr_to_rgb(at::cat({luma, chroma}, 1), header_.range);
  }

  std::string name_;
  MappedFile file_;
  Y4mHeader header_;
  VideoInfo info_;
  int chroma_height_ = 0;
  int chroma_width_ = 0;
  std::size_t luma_bytes_ = 0;
  std::size_t chroma_bytes_ = 0;
  std::vector<std::size_t> frames_;  // where the pixels of each frame begin
  std::int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<VideoReader> open_y4m(const fs::path& path) {
  return std::make_unique<Y4mReader>(path);
}

}  // namespace bw
