// What libav*.cc define, for a program built without FFmpeg.
#include "base/error.h"
#include "output/frame_sink.h"
#include "output/libav_encoder.h"
#include "output/readers.h"

namespace bw {
namespace {

[[noreturn]] void fail_reading(const std::filesystem::path& path) {
  throw InputError(path.string() +
                   ": this program was built without FFmpeg and reads only .y4m and PNG sequences "
                   "(%04d.png); install "
                   "libavformat-dev, libavcodec-dev and libswscale-dev and build again");
}

}  // namespace

bool built_with_ffmpeg() { return false; }
std::string ffmpeg_version() { return ""; }

// find_writer refuses these formats before anything can come here.
void check_libav_output(const std::filesystem::path& path, const VideoFormat&, const EncodeOptions&,
                        const Container&) {
  throw UsageError("--output " + path.string() + ": this program was built without FFmpeg");
}

std::unique_ptr<FrameSink> make_libav_sink(const std::filesystem::path& path,
                                           const VideoFormat& format, const EncodeOptions& options,
                                           const Container& container) {
  check_libav_output(path, format, options, container);
  return nullptr;
}

std::unique_ptr<VideoReader> open_libav_video(const std::filesystem::path& path) {
  fail_reading(path);
}
VideoMetadata read_libav_metadata(const std::filesystem::path& path) { fail_reading(path); }

}  // namespace bw
