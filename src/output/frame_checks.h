// What all writers and readers check alike: the request before the run, and frames at the door.
#pragma once

#include <string>
#include <string_view>

#include "output/frame_sink.h"

namespace bw {

// Throws UsageError when size, frame rate or frame count cannot be those of a video.
void check_video_format(const VideoFormat& format);

// Throws UsageError unless width and height are even, with the nearest size that works; `what`
// needs it ("H.264").
void require_even_size(const VideoFormat& format, std::string_view what);

// Throws UsageError when crf or preset is given to a lossless format, which has neither.
void reject_quality_options(const EncodeOptions& options, std::string_view format_name);

// options.codec, or the writer's first one when empty. Throws UsageError for one that is not among
// them.
[[nodiscard]] std::string choose_codec(const EncodeOptions& options,
                                       std::span<const std::string> codecs);

// Counts the frames of one clip. What it finds wrong is the caller's bug, hence InternalError.
class FrameCounter {
 public:
  explicit FrameCounter(const VideoFormat& format) : format_(format) {}
  // frames must be uint8 [n,H,W,3], contiguous, on the CPU, n >= 1, and not more than are still
  // expected.
  void add(const at::Tensor& frames);
  // Throws when frames are missing.
  void finish() const;
  [[nodiscard]] std::int64_t count() const { return count_; }

 private:
  VideoFormat format_;
  std::int64_t count_ = 0;
};

}  // namespace bw
