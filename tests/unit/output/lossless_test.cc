// Formats that give every value back, and what the readers say to files that are not what they
// seem.
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "clips.h"
#include "output/video_reader.h"

namespace bw {
namespace {

struct RoundTripRow {
  const char* name;
  const char* codec;
  std::int64_t height, width;
  int tolerance;
  const char* reason;
};

TEST(RoundTrip, Noise_ComesBackWithinTheFormatsTolerance) {
  const std::vector<RoundTripRow> rows = {
      {"clip.mkv", "", 64, 64, 0, "FFV1 of RGB"},
      {"clip.mkv", "", 33, 35, 0, "odd size"},
      {"%03d.png", "", 33, 35, 0, "PNG"},
      {"%d.png", "", 2, 1, 0, "one pixel wide"},
      {"clip.y4m", "", 33, 35, 0, "10-bit Y'CbCr 4:4:4 is exact for 8-bit RGB"},
      {"clip.y4m", "444", 33, 35, 2, "8-bit Y'CbCr holds fewer colours"},
  };
  for (const RoundTripRow& row : rows) {
    SCOPED_TRACE(std::string(row.name) + " " + row.codec + ": " + row.reason);
    if (std::string(row.name).ends_with("mkv") && !built_with_ffmpeg()) continue;
    const test::TemporaryFolder folder;
    const at::Tensor clip = test::noise_clip(11, row.height, row.width);
    test::write_clip(folder.file(row.name), clip, {.codec = row.codec});
    const at::Tensor back = read_video(folder.file(row.name)).frames;
    EXPECT_LE(test::max_difference(back, clip).item<int>(), row.tolerance);
    EXPECT_EQ(back.scalar_type(), at::kByte);
    EXPECT_TRUE(back.is_contiguous());
  }
}

TEST(RoundTrip, Chunks_EqualTheWhole) {
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(7, 64, 64);
  for (const char* name : {"clip.mkv", "clip.mp4", "%02d.png", "clip.y4m"}) {
    if (std::string(name).starts_with("clip.m") && !built_with_ffmpeg()) continue;
    test::write_clip(folder.file(name), clip);
    const at::Tensor whole = read_video(folder.file(name)).frames;
    const std::unique_ptr<VideoReader> reader = open_video(folder.file(name));
    std::vector<at::Tensor> parts;
    std::vector<std::int64_t> sizes;
    do {
      parts.push_back(reader->read(3));
      sizes.push_back(parts.back().size(0));
    } while (sizes.back() > 0);
    EXPECT_EQ(sizes, (std::vector<std::int64_t>{3, 3, 1, 0})) << name;
    EXPECT_TRUE(at::equal(at::cat(parts), whole)) << name;
  }
}

TEST(Y4m, Halved_KeepsFlatColoursAndTagsItsSiting) {
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::flat_clip(2, {200, 30, 90});
  test::write_clip(folder.file("a.y4m"), clip, {.codec = "420"}, 23.976);
  EXPECT_LE(test::max_difference(read_video(folder.file("a.y4m")).frames, clip).item<int>(), 2);
  EXPECT_TRUE(
      read_file(folder.file("a.y4m"))
          .starts_with(
              "YUV4MPEG2 W64 H64 F24000:1001 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\nFRAME\n"));
}

TEST(Y4m, Ffmpeg_ReadsWhatWeWrote) {
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(3, 64, 64);
  test::write_clip(folder.file("a.y4m"), clip);
  const std::string raw = test::output_of(
      "ffmpeg -v error -i '" + folder.file("a.y4m").string() +
      "' -vf scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int -f "
      "rawvideo -pix_fmt rgb24 -");
  ASSERT_EQ(raw.size(), clip.nbytes());
  const at::Tensor back = at::empty_like(clip);
  std::memcpy(back.data_ptr(), raw.data(), raw.size());
  EXPECT_LE(test::max_difference(back, clip).item<int>(), 1) << "swscale's own rounding";
}

TEST(Y4m, FfmpegsFiles_AreRead) {
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  for (const char* format : {"yuv420p", "yuv444p", "yuv444p10le"}) {
    const auto path = folder.file("a.y4m");
    test::output_of(
        "ffmpeg -v error -y -f lavfi -i color=c=0x20c060:s=62x34:r=30000/1001:d=0.2,format=gbrp "
        "-vf scale=out_color_matrix=bt709:out_range=tv -strict -1 -pix_fmt " +
        std::string(format) + " '" + path.string() + "'");
    const Video video = read_video(path);
    EXPECT_NEAR(*video.info.fps, 29.97, 1e-3);
    EXPECT_EQ(video.info.width, 62);
    for (std::int64_t c = 0; c < 3; ++c) {
      const std::array<int, 3> colour = {0x20, 0xC0, 0x60};
      const at::Tensor channel = video.frames.select(3, c).to(at::kInt);
      const int expected = colour[static_cast<std::size_t>(c)];
      EXPECT_LE((channel - expected).abs().max().item<int>(), 2) << format << " " << c;
    }
  }
}

TEST(Reader, FirstPngIsOne_AsOtherProgramsCount) {
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(3, 8, 8);
  test::write_clip(folder.file("%04d.png"), clip);
  std::filesystem::remove(folder.file("0000.png"));
  EXPECT_TRUE(at::equal(read_video(folder.file("%04d.png")).frames, clip.narrow(0, 1, 2)));
}

struct BadFileRow {
  const char* name;
  std::string bytes;
  const char* message;
  const char* reason;
};

TEST(Reader, BadFile_IsInputError) {
  const std::string head = "YUV4MPEG2 W4 H4 F12:1 C444\n";
  const std::string frame = "FRAME\n" + std::string(48, 'x');
  const std::vector<BadFileRow> rows = {
      {"a.y4m", "", "a.y4m", "empty"},
      {"a.y4m", "RIFF", "not a Y4M", "another format"},
      {"a.y4m", head + frame + frame.substr(0, 20), "frame 1", "cut off"},
      {"a.y4m", head + "FRAMX\n" + frame, "frame 0", "no frame"},
      {"a.y4m", "YUV4MPEG2 W4 H4 F12:1 C422\n", "422", "a sampling we do not know"},
      {"a.y4m", "YUV4MPEG2 W4 H4 F12:1 It C444\n", "interlaced", "fields"},
      {"a.y4m", "YUV4MPEG2 W4x H4 F12:1\n", "4x", "no number"},
      {"a.y4m", "YUV4MPEG2 W99999 H4 F12:1\n", "16384", "would ask for gigabytes"},
      {"a.y4m", "YUV4MPEG2 H4 F12:1\n", "16384", "no width"},
      {"a.y4m", "YUV4MPEG2 W4 H4 F\n", "no number", "no frame rate"},
      {"a.y4m", "YUV4MPEG2 W4 H4 F25\n", "no number", "half a frame rate"},
      {"%d.png", "GIF89a", "PNG", "another format"},
      {"a.png", "", "%04d", "no place for the number"},
      {"a.mp4", "not a video at all", "a.mp4", "no container"},
      {"a.txt", "", "a.txt", "empty"},
  };
  for (const BadFileRow& row : rows) {
    const test::TemporaryFolder folder;
    const auto path = folder.file(row.name);
    std::ofstream(row.name == std::string("%d.png") ? folder.file("0.png") : path) << row.bytes;
    try {
      std::ignore = read_video(path);
      ADD_FAILURE() << row.reason;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos)
          << row.reason << ": " << error.what();
    }
  }
}

TEST(Reader, MissingFile_IsInputErrorThatNamesIt) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.y4m", "%d.png", "a.mp4", "a.mkv"}) {
    EXPECT_THROW(std::ignore = open_video(folder.file(name)), InputError) << name;
    EXPECT_THROW(std::ignore = read_metadata(folder.file(name)), InputError) << name;
  }
  EXPECT_THROW(std::ignore = open_video(folder.path()), InputError);
}

TEST(Reader, TruncatedMkv_IsInputError) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  test::write_clip(folder.file("a.mp4"), test::noise_clip(5, 64, 64));
  const std::string bytes = read_file(folder.file("a.mp4"));
  std::ofstream(folder.file("b.mp4"), std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  EXPECT_THROW(std::ignore = read_video(folder.file("b.mp4")), InputError);
}

}  // namespace
}  // namespace bw
