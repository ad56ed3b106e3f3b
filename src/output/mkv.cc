// MKV: lossless by default (FFV1 of the RGB frames), for comparisons and further editing.
#include "output/frame_sink.h"
#include "output/libav_encoder.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

Container mkv_container() {
  return {.muxer = "matroska", .codecs = {"ffv1", "h264", "hevc", "av1"}};
}

void check_mkv(const fs::path& path, const VideoFormat& format, const EncodeOptions& options) {
  check_libav_output(path, format, options, mkv_container());
}

std::unique_ptr<FrameSink> make_mkv(const fs::path& path, const VideoFormat& format,
                                    const EncodeOptions& options) {
  return make_libav_sink(path, format, options, mkv_container());
}

}  // namespace

WriterInfo mkv_writer() {
  return {.name = "mkv",
          .summary = "lossless FFV1 in Matroska, for comparing and editing; lossy codecs by choice",
          .extensions = {".mkv"},
          .codecs = mkv_container().codecs,
          .needs_ffmpeg = true,
          .keeps_metadata = true,
          .check = check_mkv,
          .make = make_mkv};
}

}  // namespace bw
