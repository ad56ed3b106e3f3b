// The table of writers, and what check() refuses before anything is loaded.
#include <functional>

#include "base/error.h"
#include "clips.h"
#include "output/libav_codecs.h"

namespace bw {
namespace {

struct ExtensionRow {
  const char* path;
  const char* writer;  // nullptr: refused
  const char* hint;    // part of the message
  const char* reason;
};

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(FindWriter, Extension_ChoosesWriterOrIsRefused) {
  const std::vector<ExtensionRow> rows = {
      {"a.y4m", "y4m", "", "plain"},
      {"dir.mp4/a_%04d.png", "png", "", "only the file's own extension counts"},
      {"A.Y4M", "y4m", "", "capital letters as cameras write them"},
      {"a.mpg4", nullptr, ".png", "a typo lists what is known"},
      {"a.y4n", nullptr, "did you mean '.y4m'", "the nearest is named"},
      {"a.avi", nullptr, "known: ", "never renamed in silence"},
      {"a", nullptr, "extension", "nothing to choose by"},
      {".mp4", nullptr, "extension", "a hidden file without extension"},
      {"", nullptr, "extension", "empty"},
  };
  for (const ExtensionRow& row : rows) {
    SCOPED_TRACE(std::string(row.path) + ": " + row.reason);
    if (row.writer != nullptr) {
      EXPECT_EQ(find_writer(row.path).name, row.writer);
      continue;
    }
    const std::string message = error_of([&] { std::ignore = find_writer(row.path); });
    EXPECT_NE(message.find(row.hint), std::string::npos) << message;
    EXPECT_NE(message.find("--output"), std::string::npos) << message;
  }
}

TEST(FindWriter, FfmpegFormat_NeedsFfmpeg) {
  if (built_with_ffmpeg()) {
    EXPECT_EQ(find_writer("a.mp4").name, "mp4");
    EXPECT_EQ(find_writer("a.mkv").name, "mkv");
    EXPECT_TRUE(ffmpeg_version().starts_with("libavcodec "));
    return;
  }
  EXPECT_EQ(ffmpeg_version(), "");
  const std::string message = error_of([] { std::ignore = find_writer("a.mp4"); });
  EXPECT_NE(message.find("libavcodec-dev"), std::string::npos) << message;
  EXPECT_NE(message.find(".y4m"), std::string::npos) << message;
}

struct CheckRow {
  const char* path;
  VideoFormat format;
  EncodeOptions options;
  const char* message;  // part of it; "": accepted
  const char* reason;
};

VideoFormat size(int width, int height) { return {width, height, 12, 5}; }

std::vector<CheckRow> check_rows() {
  return {
      {"a.y4m", size(64, 64), {}, "", "plain"},
      {"a.y4m", size(63, 65), {}, "", "4:4:4 takes any size"},
      {"a.y4m", size(63, 64), {.codec = "420"}, "use 64x64", "4:2:0 halves both sides"},
      {"a.y4m", size(64, 64), {.codec = "h264"}, "known: 444p10", "codec of another format"},
      {"a.y4m", size(64, 64), {.crf = 18}, "--crf", "uncompressed"},
      {"a.y4m", size(0, 64), {}, "--size", "no width"},
      {"a.y4m", size(64, 16385), {}, "16384", "too high"},
      {"a.y4m", {64, 64, 0, 5}, {}, "--fps", "no frame rate"},
      {"a.y4m", {64, 64, std::nan(""), 5}, {}, "--fps", "NaN compares false with everything"},
      {"a.y4m", {64, 64, 1e9, 5}, {}, "--fps", "no time base for it"},
      {"a.y4m", {64, 64, 12, 0}, {}, "--num-frames", "no frames"},
      {"a_%04d.png", size(63, 65), {}, "", "any size"},
      {"a_%d.png", size(64, 64), {}, "", "no padding"},
      {"a.png", size(64, 64), {}, "a_%04d.png", "one file cannot hold a clip; suggests a name"},
      {"a_%04d_%d.png", size(64, 64), {}, "%04d", "two numbers"},
      {"a_%s.png", size(64, 64), {}, "%04d", "other conversions are not run through printf"},
      {"a_%04d.png", size(64, 64), {.codec = "rgb"}, "--codec", "no choice"},
      {"a_%04d.png", size(64, 64), {.preset = "slow"}, "--encoder-preset", "no such setting"},
      {"a.mp4", size(64, 64), {}, "", "plain"},
      {"a.mp4", size(64, 64), {.codec = "hevc", .crf = 30, .preset = "fast"}, "", "all settings"},
      {"a.mp4", size(63, 64), {}, "use 64x64", "odd width; the encoder's own error comes too late"},
      {"a.mp4", size(64, 65), {}, "use 64x66", "odd height"},
      {"a.mp4",
       size(64, 64),
       {.codec = "h265"},
       "hevc",
       "another name of HEVC lists what is known"},
      {"a.mp4", size(64, 64), {.codec = "ffv1"}, "h264", "FFV1 in MP4 plays nowhere"},
      {"a.mp4", size(64, 64), {.crf = 52}, "0 to 51", "beyond the scale"},
      {"a.mp4", size(64, 64), {.crf = -1}, "0 to 51", "below the scale"},
      {"a.mp4", size(64, 64), {.codec = "av1", .crf = 63}, "", "AV1 has a longer scale"},
      {"a.mp4", size(32, 32), {.codec = "av1"}, "at least 64", "this encoder's limit"},
      {"a.mp4", size(32, 64), {.codec = "hevc"}, "at least 34", "no longer bit-repeatable below"},
      {"a.mp4", size(64, 64), {.preset = "mediun"}, "did you mean 'medium'", "typo"},
      {"a.mkv", size(63, 65), {}, "", "FFV1 keeps RGB: any size"},
      {"a.mkv", size(64, 64), {.crf = 18}, "lossless", "nothing to trade"},
      {"a.mkv", size(63, 64), {.codec = "h264"}, "use 64x64", "4:2:0 again"},
  };
}

TEST(WriterCheck, Request_IsAcceptedOrNamesTheRemedy) {
  const test::TemporaryFolder folder;
  for (const CheckRow& row : check_rows()) {
    SCOPED_TRACE(std::string(row.path) + ": " + row.reason);
    const auto path = folder.file(row.path);
    if (path.extension() != ".y4m" && path.extension() != ".png" && !built_with_ffmpeg()) continue;
    const std::string message =
        error_of([&] { find_writer(path).check(path, row.format, row.options); });
    if (*row.message == '\0') {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_NE(message.find(row.message), std::string::npos) << "'" << message << "'";
    }
    EXPECT_TRUE(folder.names().empty()) << "check() leaves nothing behind";
  }
}

TEST(WriterCheck, LongerPngSequence_IsNotMixedWithOurs) {
  const test::TemporaryFolder folder;
  test::write_clip(folder.file("%04d.png"), test::noise_clip(6, 16, 16));
  const auto path = folder.file("%04d.png");
  EXPECT_THROW(find_writer(path).check(path, size(16, 16), {}), OutputError);
  EXPECT_NO_THROW(find_writer(path).check(path, {16, 16, 12, 6}, {}));
}

TEST(RequireEncoder, MissingEncoder_NamesWhatIsThere) {
  BW_REQUIRE_FFMPEG();
  const std::vector<std::string> choices = {"h264", "hevc", "av1"};
  const VideoCodec& hevc = find_video_codec("hevc");
  EXPECT_EQ(
      error_of([&] { require_encoder(hevc, choices, [](const std::string&) { return true; }); }),
      "");
  const std::string only_av1 = error_of([&] {
    require_encoder(hevc, choices, [](const std::string& name) { return name == "libsvtav1"; });
  });
  EXPECT_NE(only_av1.find("--codec hevc"), std::string::npos) << only_av1;
  EXPECT_NE(only_av1.find("libx265"), std::string::npos) << only_av1;
  EXPECT_TRUE(only_av1.ends_with(": av1")) << only_av1;
  const std::string none =
      error_of([&] { require_encoder(hevc, choices, [](const std::string&) { return false; }); });
  EXPECT_NE(none.find(".y4m"), std::string::npos) << none;
}

TEST(WriterTable, Rows_AreComplete) {
  ASSERT_EQ(writers().size(), 4U);
  for (const WriterInfo& writer : writers()) {
    SCOPED_TRACE(writer.name);
    EXPECT_FALSE(writer.summary.empty());
    EXPECT_FALSE(writer.extensions.empty());
    EXPECT_NE(writer.check, nullptr);
    EXPECT_NE(writer.make, nullptr);
  }
}

}  // namespace
}  // namespace bw
