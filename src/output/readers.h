// The readers behind open_video (video_reader.h), one per kind of file.
#pragma once

#include "output/video_reader.h"

namespace bw {

[[nodiscard]] std::unique_ptr<VideoReader> open_y4m(const std::filesystem::path& path);

[[nodiscard]] std::unique_ptr<VideoReader> open_png_sequence(const std::filesystem::path& pattern);
[[nodiscard]] VideoMetadata read_png_metadata(const std::filesystem::path& pattern);

// Built without FFmpeg, both throw InputError saying what to install.
[[nodiscard]] std::unique_ptr<VideoReader> open_libav_video(const std::filesystem::path& path);
[[nodiscard]] VideoMetadata read_libav_metadata(const std::filesystem::path& path);

}  // namespace bw
