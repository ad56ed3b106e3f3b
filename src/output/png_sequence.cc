// A PNG file per frame, "shot_%04d.png", numbered from 0. Lossless and uncompressed, so that it
// needs no library: for looking at single frames and for other programs. Title and metadata are
// iTXt chunks of the first frame.
#include <utility>

#include "base/error.h"
#include "base/origin.h"
#include "output/frame_checks.h"
#include "output/frame_sink.h"
#include "output/pending_stream.h"
#include "output/png.h"
#include "output/sequence_pattern.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

SequencePattern require_pattern(const fs::path& path) {
  if (const std::optional<SequencePattern> pattern = SequencePattern::parse(path)) return *pattern;
  const fs::path suggestion = path.parent_path() / (path.stem().string() + "_%04d.png");
  reject(Origin::flag("--output " + path.string()),
         "a PNG sequence needs one place for the frame number, such as " + suggestion.string());
}

void check_png_sequence(const fs::path& path, const VideoFormat& format,
                        const EncodeOptions& options) {
  check_video_format(format);
  const SequencePattern pattern = require_pattern(path);
  reject_quality_options(options, "a PNG sequence");
  std::ignore = choose_codec(options, {});
  check_writable(pattern.name(0));
  if (const fs::path next = pattern.name(format.num_frames); fs::exists(next)) {
    throw OutputError(next.string() +
                      ": is left from a longer sequence and would be read as part of this one; "
                      "remove it or write to another folder");
  }
}

class PngSequenceSink final : public FrameSink {
 public:
  PngSequenceSink(SequencePattern pattern, const VideoFormat& format, const EncodeOptions& options)
      : pattern_(std::move(pattern)), counter_(format) {
    if (!options.title.empty()) texts_.push_back({"Title", options.title});
    if (!options.metadata.empty()) texts_.push_back({"Comment", options.metadata});
  }

  void write(const at::Tensor& frames) override {
    counter_.add(frames);
    for (std::int64_t i = 0; i < frames.size(0); ++i) {
      const auto number = static_cast<std::int64_t>(files_.size());
      PngImage image{frames.select(0, i), number == 0 ? texts_ : std::vector<PngText>{}};
      PendingStream& file =
          *files_.emplace_back(std::make_unique<PendingStream>(pattern_.name(number)));
      file.write(encode_png(image));
      file.close();
    }
  }

  void finish() override {
    counter_.finish();
    for (const std::unique_ptr<PendingStream>& file : files_) file->commit();
  }

 private:
  SequencePattern pattern_;
  FrameCounter counter_;
  std::vector<PngText> texts_;
  std::vector<std::unique_ptr<PendingStream>> files_;  // closed, under temporary names
};

std::unique_ptr<FrameSink> make_png_sequence(const fs::path& path, const VideoFormat& format,
                                             const EncodeOptions& options) {
  check_png_sequence(path, format, options);
  return std::make_unique<PngSequenceSink>(require_pattern(path), format, options);
}

}  // namespace

WriterInfo png_sequence_writer() {
  return {.name = "png",
          .summary = "a PNG file per frame (shot_%04d.png), lossless, not compressed",
          .extensions = {".png"},
          .codecs = {},
          .needs_ffmpeg = false,
          .keeps_metadata = true,
          .check = check_png_sequence,
          .make = make_png_sequence};
}

}  // namespace bw
