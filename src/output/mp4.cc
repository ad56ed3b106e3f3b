// MP4: plays everywhere. H.264 by default, HEVC and AV1 on request, all as 4:2:0 in BT.709 limited
// range.
#include "output/frame_sink.h"
#include "output/libav_encoder.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

Container mp4_container() { return {.muxer = "mp4", .codecs = {"h264", "hevc", "av1"}}; }

void check_mp4(const fs::path& path, const VideoFormat& format, const EncodeOptions& options) {
  check_libav_output(path, format, options, mp4_container());
}

std::unique_ptr<FrameSink> make_mp4(const fs::path& path, const VideoFormat& format,
                                    const EncodeOptions& options) {
  return make_libav_sink(path, format, options, mp4_container());
}

}  // namespace

WriterInfo mp4_writer() {
  return {.name = "mp4",
          .summary = "H.264, HEVC or AV1 in MP4, for viewing",
          .extensions = {".mp4"},
          .codecs = mp4_container().codecs,
          .needs_ffmpeg = true,
          .keeps_metadata = true,
          .check = check_mp4,
          .make = make_mp4};
}

}  // namespace bw
