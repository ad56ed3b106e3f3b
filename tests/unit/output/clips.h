// Small clips, a folder that vanishes, and the command-line tools of FFmpeg as an independent
// witness.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "output/frame_sink.h"

namespace bw::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bw_output_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

// uint8 [n,H,W,3], every value equally likely.
inline at::Tensor noise_clip(std::int64_t frames, std::int64_t height, std::int64_t width) {
  at::Generator generator = at::detail::createCPUGenerator(20);
  return at::randint(0, 256, {frames, height, width, 3}, generator, at::TensorOptions(at::kByte));
}

// uint8 [n,H,W,3] of one colour.
inline at::Tensor flat_clip(std::int64_t frames, std::array<int, 3> colour) {
  at::Tensor clip = at::empty({frames, 64, 64, 3}, at::kByte);
  for (std::int64_t c = 0; c < 3; ++c) clip.select(3, c).fill_(colour[static_cast<std::size_t>(c)]);
  return clip;
}

inline VideoFormat format_of(const at::Tensor& clip, double fps = 12) {
  return {.width = static_cast<int>(clip.size(2)),
          .height = static_cast<int>(clip.size(1)),
          .fps = fps,
          .num_frames = clip.size(0)};
}

// Writes in chunks of 4 frames, as a decoder would.
inline void write_clip(const std::filesystem::path& path, const at::Tensor& clip,
                       const EncodeOptions& options = {}, double fps = 12) {
  const std::unique_ptr<FrameSink> sink =
      find_writer(path).make(path, format_of(clip, fps), options);
  for (std::int64_t i = 0; i < clip.size(0); i += 4) {
    sink->write(clip.narrow(0, i, std::min<std::int64_t>(4, clip.size(0) - i)));
  }
  sink->finish();
}

inline bool has_command(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

// What a shell command prints; the test fails when the command does.
inline std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(command);
  std::string text;
  std::array<char, 4096> part{};
  for (std::size_t n = 0; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) {
    text.append(part.data(), n);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

// "key=value" lines of the first video stream and of the file.
inline std::string ffprobe(const std::filesystem::path& path, const std::string& entries) {
  return output_of("ffprobe -v error -count_frames -select_streams v:0 -show_entries " + entries +
                   " -of default=noprint_wrappers=1 '" + path.string() + "'");
}

inline at::Tensor max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kInt) - b.to(at::kInt)).abs().max();
}

}  // namespace bw::test

#define BW_REQUIRE_FFMPEG() \
  if (!::bw::built_with_ffmpeg()) GTEST_SKIP() << "built without FFmpeg"
#define BW_REQUIRE_COMMAND(name) \
  if (!::bw::test::has_command(name)) GTEST_SKIP() << "no command " name
