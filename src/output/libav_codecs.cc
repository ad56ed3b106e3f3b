#include "output/libav_codecs.h"

#include <algorithm>

#include "base/check.h"
#include "base/origin.h"
#include "output/frame_checks.h"

namespace bw {
namespace {

std::vector<std::string> x264_presets() {
  return {"ultrafast", "superfast", "veryfast", "faster",   "fast",
          "medium",    "slow",      "slower",   "veryslow", "placebo"};
}

std::vector<std::string> svt_presets() {
  std::vector<std::string> presets;
  for (int speed = 13; speed >= 0; --speed) presets.push_back(std::to_string(speed));
  return presets;
}

}  // namespace

std::span<const VideoCodec> video_codecs() {
  static const std::vector<VideoCodec> kCodecs = {
      {.name = "h264",
       .title = "H.264",
       .encoder = "libx264",
       .pixel_format = "yuv420p",
       .mp4_tag = "",
       .crf = {0, 51, 18},
       .presets = x264_presets(),
       .preset = "medium",
       .min_side = 2,
       // x264 r3095 with AVX-512 reads beyond a row that was never set: files would not repeat.
       .settings = {{"mbtree", "0"}},
       .log_variable = ""},
      {.name = "hevc",
       .title = "HEVC",
       .encoder = "libx265",
       .pixel_format = "yuv420p",
       .mp4_tag = "hvc1",  // Apple's players refuse the muxer's own choice, hev1
       .crf = {0, 51, 20},
       .presets = x264_presets(),
       .preset = "medium",
       .min_side = 34,
       // x265 3.5 does not repeat where a picture is no wider or higher than one coding tree unit.
       .settings = {{"x265-params", "log-level=error:ctu=32"}},
       .log_variable = ""},
      {.name = "av1",
       .title = "AV1",
       .encoder = "libsvtav1",
       .pixel_format = "yuv420p",
       .mp4_tag = "",
       .crf = {0, 63, 24},
       .presets = svt_presets(),
       .preset = "8",
       .min_side = 64,
       .settings = {},
       .log_variable = "SVT_LOG"},
      {.name = "ffv1",
       .title = "FFV1",
       .encoder = "ffv1",
       .pixel_format = "bgr0",  // FFV1 of FFmpeg 5.1 refuses 8-bit gbrp
       .mp4_tag = "",
       .crf = {},
       .presets = {},
       .preset = "",
       .min_side = 1,
       .settings = {{"level", "3"}, {"slicecrc", "1"}},
       .log_variable = ""},
  };
  return kCodecs;
}

const VideoCodec& find_video_codec(std::string_view name) {
  const auto found = std::ranges::find(video_codecs(), name, &VideoCodec::name);
  BW_CHECK(found != video_codecs().end(), "no codec " + std::string(name));
  return *found;
}

void require_encoder(const VideoCodec& codec, std::span<const std::string> choices,
                     bool (*is_present)(const std::string& encoder)) {
  if (is_present(codec.encoder)) return;
  std::string others;
  for (const std::string& choice : choices) {
    if (is_present(find_video_codec(choice).encoder))
      others += (others.empty() ? "" : ", ") + choice;
  }
  reject(Origin::flag("--codec " + codec.name),
         "this FFmpeg was built without the encoder " + codec.encoder +
             (others.empty() ? "; write .y4m or a PNG sequence (%04d.png), which need none"
                             : "; it has what these need: " + others));
}

void check_codec_options(const VideoCodec& codec, const VideoFormat& format,
                         const EncodeOptions& options) {
  if (codec.is_lossless()) {
    reject_quality_options(options, codec.title + ", which is lossless,");
    return;
  }
  require_even_size(format, codec.title);
  if (format.width < codec.min_side || format.height < codec.min_side) {
    reject(Origin::flag("--size"), codec.title + " needs at least " +
                                       std::to_string(codec.min_side) + " pixels each way (got " +
                                       std::to_string(format.width) + "x" +
                                       std::to_string(format.height) + ")");
  }
  if (options.crf && (*options.crf < codec.crf.low || *options.crf > codec.crf.high)) {
    reject(Origin::flag("--crf"), codec.title + " takes " + std::to_string(codec.crf.low) + " to " +
                                      std::to_string(codec.crf.high) + " (got " +
                                      std::to_string(*options.crf) + "); the default is " +
                                      std::to_string(codec.crf.value));
  }
  if (!options.preset.empty() &&
      std::ranges::find(codec.presets, options.preset) == codec.presets.end()) {
    reject(Origin::flag("--encoder-preset " + options.preset),
           "unknown to " + codec.title + known_names_hint(options.preset, codec.presets));
  }
}

}  // namespace bw
