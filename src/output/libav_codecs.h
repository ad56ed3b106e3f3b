// The video codecs that the program offers, and which of FFmpeg's encoders makes each.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "output/frame_sink.h"

namespace bw {

struct CrfRange {
  int low = 0;
  int high = 0;
  int value = 0;  // the default
};

struct VideoCodec {
  std::string name;                  // "h264"
  std::string title;                 // "H.264", for messages
  std::string encoder;               // "libx264"
  std::string pixel_format;          // "yuv420p": FFmpeg's name
  std::string mp4_tag;               // four characters, or "" for the muxer's own choice
  CrfRange crf;                      // unused by lossless codecs, which have no presets
  std::vector<std::string> presets;  // fastest first; empty: lossless
  std::string preset;                // the default
  int min_side = 1;                  // of width and height
  std::vector<std::pair<std::string, std::string>> settings;  // further options of the encoder
  std::string
      log_variable;  // environment variable that sets the encoder's own log level; "" for none

  [[nodiscard]] bool is_lossless() const { return presets.empty(); }
};

[[nodiscard]] std::span<const VideoCodec> video_codecs();
[[nodiscard]] const VideoCodec& find_video_codec(
    std::string_view name);  // InternalError for an unknown one

// Throws UsageError when `is_present(encoder)` is false, naming those of `choices` whose encoder is
// present.
void require_encoder(const VideoCodec& codec, std::span<const std::string> choices,
                     bool (*is_present)(const std::string& encoder));

// Throws UsageError for a size, crf or preset that the codec cannot honour.
void check_codec_options(const VideoCodec& codec, const VideoFormat& format,
                         const EncodeOptions& options);

}  // namespace bw
