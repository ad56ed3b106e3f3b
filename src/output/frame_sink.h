// Where decoded frames go. Read y4m.cc for the smallest writer; writers.inc is the table.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

// Everything about the file that is known before the first frame.
struct VideoFormat {
  int width = 0;
  int height = 0;
  double fps = 0;
  std::int64_t num_frames = 0;
};

// How to encode; each writer says which fields it takes (WriterInfo::codecs and check).
struct EncodeOptions {
  std::string codec;           // "h264", "hevc", "av1", "ffv1"; empty: the writer's default
  std::optional<int> crf;      // constant quality, lower is better
  std::string preset;          // encoder speed; empty: the writer's default
  std::string metadata;        // JSON kept in the file's `comment`; empty: none
  std::string title;           // the prompt; empty: none
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;  // without finish() no file stays behind
  // frames: uint8 [n,H,W,3] RGB, contiguous, CPU.
  virtual void write(const at::Tensor& frames) = 0;
  // Completes the file and gives it its name. Throws OutputError.
  virtual void finish() = 0;
};

struct WriterInfo {
  std::string_view name;  // "mp4"
  std::string_view summary;
  std::vector<std::string> extensions;  // with the dot, lower case
  std::vector<std::string> codecs;      // accepted values of EncodeOptions::codec, the default first; empty: no choice
  bool needs_ffmpeg = false;
  // Throws before anything is loaded: codec missing in this FFmpeg, odd size, bad pattern.
  void (*check)(const std::filesystem::path&, const VideoFormat&, const EncodeOptions&) = nullptr;
  std::unique_ptr<FrameSink> (*make)(const std::filesystem::path&, const VideoFormat&,
                                     const EncodeOptions&) = nullptr;
};

[[nodiscard]] std::span<const WriterInfo> writers();
// By extension ("%04d.png" is a PNG sequence). An unknown extension is a UsageError with the known ones.
[[nodiscard]] const WriterInfo& find_writer(const std::filesystem::path& output);

// Runs another sink in its own thread with a short queue, so that encoding overlaps decoding. Errors of the thread surface in
// write() or finish().
[[nodiscard]] std::unique_ptr<FrameSink> make_threaded_sink(std::unique_ptr<FrameSink> sink);

}  // namespace bw
