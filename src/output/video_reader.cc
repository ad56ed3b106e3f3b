#include "output/video_reader.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "output/readers.h"

namespace bw {
namespace {

bool is_y4m(const std::filesystem::path& path) { return path.extension() == ".y4m"; }
bool is_png(const std::filesystem::path& path) { return path.extension() == ".png"; }

}  // namespace

std::unique_ptr<VideoReader> open_video(const std::filesystem::path& path) {
  if (is_y4m(path)) return open_y4m(path);
  if (is_png(path)) return open_png_sequence(path);
  return open_libav_video(path);
}

Video read_video(const std::filesystem::path& path) {
  const std::unique_ptr<VideoReader> reader = open_video(path);
  const VideoInfo& info = reader->info();
  at::Tensor frames = reader->read(info.num_frames);
  if (frames.size(0) != info.num_frames) {
    throw InputError(path.string() + ": only " + std::to_string(frames.size(0)) + " of " +
                     std::to_string(info.num_frames) + " frames can be read; the file is damaged");
  }
  return {info, std::move(frames)};
}

VideoMetadata read_metadata(const std::filesystem::path& path) {
  if (is_y4m(path)) {
    std::ignore = open_y4m(path);  // the format has no place for text, but the file must be one
    return {};
  }
  if (is_png(path)) return read_png_metadata(path);
  return read_libav_metadata(path);
}

}  // namespace bw
