#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "output/png.h"
#include "output/readers.h"
#include "output/sequence_pattern.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

// The frames that exist in an unbroken row from 0, or from 1 where there is no 0 (other programs
// begin there).
struct Sequence {
  SequencePattern pattern;
  std::int64_t first = 0;
  std::int64_t count = 0;
};

Sequence find_sequence(const fs::path& path) {
  const std::optional<SequencePattern> pattern = SequencePattern::parse(path);
  if (!pattern) {
    throw InputError(
        path.string() +
        ": a PNG sequence is named with one place for the frame number, such as %04d.png");
  }
  Sequence sequence{*pattern};
  if (!fs::exists(pattern->name(0))) sequence.first = 1;
  while (fs::exists(pattern->name(sequence.first + sequence.count))) ++sequence.count;
  if (sequence.count == 0) {
    throw InputError(path.string() + ": there is neither " + pattern->name(0).string() + " nor " +
                     pattern->name(1).string());
  }
  return sequence;
}

PngImage read_png(const fs::path& path) { return decode_png(read_file(path), path.string()); }

class PngSequenceReader final : public VideoReader {
 public:
  explicit PngSequenceReader(Sequence sequence) : sequence_(std::move(sequence)) {
    const PngImage first = read_png(sequence_.pattern.name(sequence_.first));
    info_.height = static_cast<int>(first.pixels.size(0));
    info_.width = static_cast<int>(first.pixels.size(1));
    info_.num_frames = sequence_.count;
  }

  [[nodiscard]] const VideoInfo& info() const override { return info_; }

  [[nodiscard]] at::Tensor read(std::int64_t max_frames) override {
    const std::int64_t count = std::min(max_frames, info_.num_frames - next_);
    at::Tensor frames = at::empty({count, info_.height, info_.width, 3}, at::kByte);
    for (std::int64_t i = 0; i < count; ++i, ++next_) {
      const fs::path path = sequence_.pattern.name(sequence_.first + next_);
      const at::Tensor pixels = read_png(path).pixels;
      if (pixels.sizes() != frames[i].sizes()) {
        throw InputError(path.string() + ": is " + std::to_string(pixels.size(1)) + "x" +
                         std::to_string(pixels.size(0)) + ", the frames before it are " +
                         std::to_string(info_.width) + "x" + std::to_string(info_.height));
      }
      frames[i].copy_(pixels);
    }
    return frames;
  }

 private:
  Sequence sequence_;
  VideoInfo info_;
  std::int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<VideoReader> open_png_sequence(const fs::path& pattern) {
  return std::make_unique<PngSequenceReader>(find_sequence(pattern));
}

VideoMetadata read_png_metadata(const fs::path& pattern) {
  const Sequence sequence = find_sequence(pattern);
  VideoMetadata metadata;
  for (const PngText& text : read_png(sequence.pattern.name(sequence.first)).texts) {
    if (text.keyword == "Title") metadata.title = text.text;
    if (text.keyword == "Comment") metadata.comment = text.text;
  }
  return metadata;
}

}  // namespace bw
