// Where decoded frames go. Read y4m.cc for the smallest writer; writers.inc is the table;
// video_reader.h is the way back.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
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
  double fps = 0;  // 23.976 means 24000/1001, see frame_rate.h
  std::int64_t num_frames = 0;
};

// How to encode. A field that the writer cannot honour is refused by WriterInfo::check, never
// ignored; metadata and title alone are left out by writers whose format has no place for them
// (WriterInfo::keeps_metadata).
struct EncodeOptions {
  std::string codec = {};       // one of WriterInfo::codecs; empty: the writer's default
  std::optional<int> crf = {};  // constant quality, lower is better; the codec has a default
  std::string preset = {};      // encoder speed, in the encoder's words; empty: the codec's default
  std::string metadata = {};    // JSON kept in the file's `comment`; empty: none
  std::string title = {};       // the prompt; empty: none
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;  // without finish() no file stays behind
  // frames: uint8 [n,H,W,3] RGB, contiguous, CPU; not to be changed afterwards (a threaded sink
  // still reads them). Throws OutputError, and InternalError for frames that break VideoFormat.
  virtual void write(const at::Tensor& frames) = 0;
  // Completes the file and gives it its name, once all num_frames are written. Throws OutputError.
  virtual void finish() = 0;
};

struct WriterInfo {
  std::string_view name;  // "mp4"
  std::string_view summary;
  std::vector<std::string> extensions;  // with the dot, lower case
  std::vector<std::string>
      codecs;  // accepted values of EncodeOptions::codec, the default first; empty: no choice
  bool needs_ffmpeg = false;    // unusable when built_with_ffmpeg() is false
  bool keeps_metadata = false;  // read_metadata of video_reader.h gives back title and metadata
  // Throws before anything is loaded: codec missing in this FFmpeg, odd size, bad pattern
  // (UsageError), unwritable path (OutputError).
  void (*check)(const std::filesystem::path&, const VideoFormat&, const EncodeOptions&) = nullptr;
  // Runs check first.
  std::unique_ptr<FrameSink> (*make)(const std::filesystem::path&, const VideoFormat&,
                                     const EncodeOptions&) = nullptr;
};

[[nodiscard]] std::span<const WriterInfo> writers();
// By extension ("%04d.png" is a PNG sequence). UsageError for an unknown extension, with the known
// ones, and for one that this build cannot write, with those it can.
[[nodiscard]] const WriterInfo& find_writer(const std::filesystem::path& output);

[[nodiscard]] bool built_with_ffmpeg();
// "libavcodec 59.37.100", or "" when built without.
[[nodiscard]] std::string ffmpeg_version();

// Runs another sink in its own thread with a short queue, so that encoding overlaps decoding.
// Errors of the thread surface in the next write() or in finish().
[[nodiscard]] std::unique_ptr<FrameSink> make_threaded_sink(std::unique_ptr<FrameSink> sink);

}  // namespace bw
