// Reads frames back from any file the program writes (frame_sink.h), and from whatever FFmpeg knows
// when built with it. Read y4m_reader.cc for the smallest reader.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace bw {

struct VideoInfo {
  int width = 0;
  int height = 0;
  std::int64_t num_frames = 0;
  std::optional<double> fps;  // a PNG sequence has none
};

class VideoReader {
 public:
  virtual ~VideoReader() = default;
  [[nodiscard]] virtual const VideoInfo& info() const = 0;
  // The next frames, at most max_frames >= 1: uint8 [n,H,W,3] RGB, contiguous; n == 0 at the end.
  // Y'CbCr is converted by the matrix the file is tagged with, BT.709 when it has no tag. Throws
  // InputError on damage.
  [[nodiscard]] virtual at::Tensor read(std::int64_t max_frames) = 0;
};

// ".y4m", a PNG sequence ("%04d.png", numbered from 0 or 1), anything else through FFmpeg. Throws
// InputError.
[[nodiscard]] std::unique_ptr<VideoReader> open_video(const std::filesystem::path& path);

struct Video {
  VideoInfo info;
  at::Tensor frames;  // uint8 [num_frames,H,W,3]
};

// The whole clip in memory.
[[nodiscard]] Video read_video(const std::filesystem::path& path);

struct VideoMetadata {
  std::string title;    // the prompt
  std::string comment;  // JSON of the run; "" when the file has none
};

// What EncodeOptions::title and metadata were. Throws InputError when the file cannot be read.
[[nodiscard]] VideoMetadata read_metadata(const std::filesystem::path& path);

}  // namespace bw
