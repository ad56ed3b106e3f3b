#include "output/frame_checks.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/check.h"
#include "base/origin.h"

namespace bw {
namespace {

constexpr int kMaxSide = 16384;     // limit of H.264 and AV1 levels
constexpr double kMaxFps = 1000.0;  // beyond it no player keeps the time base

std::string text(double value) {
  std::ostringstream stream;
  stream << value;
  return stream.str();
}

std::string size_text(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

}  // namespace

void check_video_format(const VideoFormat& format) {
  if (format.width < 1 || format.height < 1 || format.width > kMaxSide ||
      format.height > kMaxSide) {
    reject(Origin::flag("--size"), "width and height must be 1 to " + std::to_string(kMaxSide) +
                                       " (got " + size_text(format.width, format.height) + ")");
  }
  if (!std::isfinite(format.fps) || format.fps <= 0 || format.fps > kMaxFps) {
    reject(Origin::flag("--fps"),
           "must be above 0 and at most " + text(kMaxFps) + " (got " + text(format.fps) + ")");
  }
  if (format.num_frames < 1) {
    reject(Origin::flag("--num-frames"),
           "must be at least 1 (got " + std::to_string(format.num_frames) + ")");
  }
}

void require_even_size(const VideoFormat& format, std::string_view what) {
  if (format.width % 2 == 0 && format.height % 2 == 0) return;
  reject(Origin::flag("--size"),
         std::string(what) + " needs an even width and height (got " +
             size_text(format.width, format.height) + "); use " +
             size_text(format.width + format.width % 2, format.height + format.height % 2));
}

void reject_quality_options(const EncodeOptions& options, std::string_view format_name) {
  const std::string reason = std::string(format_name) + " has no such setting; leave it out";
  if (options.crf) reject(Origin::flag("--crf " + std::to_string(*options.crf)), reason);
  if (!options.preset.empty()) reject(Origin::flag("--encoder-preset " + options.preset), reason);
}

std::string choose_codec(const EncodeOptions& options, std::span<const std::string> codecs) {
  if (options.codec.empty()) return codecs.empty() ? "" : codecs.front();
  const Origin origin = Origin::flag("--codec " + options.codec);
  if (codecs.empty()) reject(origin, "this format has no choice of codec; leave it out");
  if (std::ranges::find(codecs, options.codec) == codecs.end()) {
    reject(origin, "unknown for this format" + known_names_hint(options.codec, codecs));
  }
  return options.codec;
}

void FrameCounter::add(const at::Tensor& frames) {
  BW_CHECK(frames.defined() && frames.dim() == 4 && frames.size(0) >= 1 && frames.size(3) == 3,
           "frames must be [n,H,W,3] with n >= 1");
  BW_CHECK(frames.size(1) == format_.height && frames.size(2) == format_.width,
           "frames are " + size_text(frames.size(2), frames.size(1)) + ", the video is " +
               size_text(format_.width, format_.height));
  BW_CHECK(frames.scalar_type() == at::kByte && frames.is_cpu() && frames.is_contiguous(),
           "frames must be uint8, contiguous and on the CPU");
  BW_CHECK(count_ + frames.size(0) <= format_.num_frames,
           "more than the " + std::to_string(format_.num_frames) + " frames of the clip");
  count_ += frames.size(0);
}

void FrameCounter::finish() const {
  BW_CHECK(count_ == format_.num_frames, std::to_string(count_) + " of " +
                                             std::to_string(format_.num_frames) +
                                             " frames were written");
}

}  // namespace bw
