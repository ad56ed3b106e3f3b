// What other programs see in our files: FFmpeg's own tools are the witness.
#include <malloc.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "clips.h"
#include "output/video_reader.h"

// x265 3.5 loses a few kilobytes per encoder inside the library; LeakSanitizer asks here what to
// forgive. NOLINTNEXTLINE(bugprone-reserved-identifier): the name is the sanitizer's
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265.so"; }

namespace bw {
namespace {

struct CodecRow {
  const char* codec;
  const char* name;  // ffprobe's
  const char* tag;
};

TEST(Mp4, Ffprobe_SeesCodecFramesColourAndExactDuration) {
  BW_REQUIRE_FFMPEG();
  BW_REQUIRE_COMMAND("ffprobe");
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(17, 64, 64);
  for (const CodecRow& row :
       {CodecRow{"h264", "h264", "avc1"}, {"hevc", "hevc", "hvc1"}, {"av1", "av1", "av01"}}) {
    SCOPED_TRACE(row.codec);
    const auto path = folder.file(std::string(row.codec) + ".mp4");
    test::write_clip(path, clip, {.codec = row.codec});
    EXPECT_EQ(
        test::ffprobe(path,
                      "stream=codec_name,codec_tag_string,width,height,pix_fmt,color_range,"
                      "color_space,color_transfer,color_primaries,r_frame_rate,avg_frame_rate,"
                      "start_time,duration,nb_read_frames:format=duration"),
        std::string("codec_name=") + row.name + "\ncodec_tag_string=" + row.tag +
            "\nwidth=64\nheight=64\npix_fmt=yuv420p\ncolor_range=tv\ncolor_space=bt709\n"
            "color_transfer=bt709\ncolor_primaries=bt709\nr_frame_rate=12/1\navg_frame_rate=12/1\n"
            "start_time=0.000000\nduration=1.416667\nnb_read_frames=17\nduration=1.416667\n");
  }
}

struct RateRow {
  double fps;
  const char* rate;
  const char* duration;  // of 17 frames
};

TEST(Mp4, FrameRate_IsExact) {
  BW_REQUIRE_FFMPEG();
  BW_REQUIRE_COMMAND("ffprobe");
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(17, 64, 64);
  const std::vector<RateRow> rows = {
      {16, "16/1", "1.062500"},           {24, "24/1", "0.708333"},
      {23.976, "24000/1001", "0.709042"}, {29.97, "30000/1001", "0.567233"},
      {12.5, "25/2", "1.360000"},         {1, "1/1", "17.000000"},
      {7.3, "73/10", "2.328767"},
  };
  for (const RateRow& row : rows) {
    const auto path = folder.file("clip.mp4");
    test::write_clip(path, clip, {}, row.fps);
    EXPECT_EQ(test::ffprobe(path, "stream=avg_frame_rate,duration:format=duration"),
              std::string("avg_frame_rate=") + row.rate + "\nduration=" + row.duration +
                  "\nduration=" + row.duration + "\n")
        << row.fps;
    EXPECT_EQ(test::ffprobe(path, "packet=duration_time").find("N/A"), std::string::npos)
        << row.fps;
  }
}

TEST(Mp4, Faststart_PutsTheIndexFirst) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  test::write_clip(folder.file("a.mp4"), test::noise_clip(9, 64, 64));
  const std::string bytes = read_file(folder.file("a.mp4"));
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
  EXPECT_EQ(bytes.find("Lavf"), std::string::npos)
      << "no version: equal frames give equal files everywhere";
}

struct ColourRow {
  const char* name;
  std::array<int, 3> rgb;
  std::array<int, 3> ycbcr;  // Rec. 709 §3, 8 bits, limited range, worked out by hand
};

std::vector<ColourRow> colours() {
  return {{"green", {0, 255, 0}, {173, 42, 26}},  // BT.601 would have luma 145
          {"red", {255, 0, 0}, {63, 102, 240}},   // … 81
          {"blue", {0, 0, 255}, {32, 240, 118}},  // … 41
          {"white", {255, 255, 255}, {235, 128, 128}}, {"black", {0, 0, 0}, {16, 128, 128}},
          {"skin", {224, 172, 105}, {169, 93, 154}}};
}

TEST(Mp4, Colours_SurviveAndAreBt709InTheFile) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  for (const ColourRow& row : colours()) {
    SCOPED_TRACE(row.name);
    const at::Tensor clip = test::flat_clip(3, row.rgb);
    const auto path = folder.file("clip.mp4");
    test::write_clip(path, clip, {.crf = 1});
    EXPECT_LE(test::max_difference(read_video(path).frames, clip).item<int>(), 2);
    if (!test::has_command("ffmpeg")) continue;
    const std::string planes = test::output_of("ffmpeg -v error -i '" + path.string() +
                                               "' -frames:v 1 -f rawvideo -pix_fmt yuv420p -");
    ASSERT_EQ(planes.size(), 64U * 64U * 3U / 2U);
    for (std::size_t plane = 0; plane < 3; ++plane) {
      const std::size_t offset = plane == 0 ? 0 : 64U * 64U + (plane - 1) * 32U * 32U;
      EXPECT_NEAR(static_cast<unsigned char>(planes[offset + 100]), row.ycbcr[plane], 1) << plane;
    }
  }
}

TEST(Mp4, OtherMatrixInTheFile_IsHonouredByTheReader) {
  BW_REQUIRE_FFMPEG();
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  const auto path = folder.file("bt601.mp4");
  test::output_of(
      "ffmpeg -v error -f lavfi -i color=c=0x00ff00:s=64x64:r=12:d=0.5,format=gbrp -vf "
      "scale=out_color_matrix=bt601:out_range=tv -pix_fmt yuv420p -colorspace smpte170m -crf 1 '" +
      path.string() + "'");
  const Video video = read_video(path);
  EXPECT_LE(test::max_difference(video.frames, test::flat_clip(6, {0, 255, 0})).item<int>(), 2);
}

TEST(Mp4, LowerCrf_IsNearerToTheSource) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  const at::Tensor clip =
      at::avg_pool2d(test::noise_clip(5, 256, 256).permute({0, 3, 1, 2}).to(at::kFloat), 4)
          .permute({0, 2, 3, 1})
          .to(at::kByte)
          .contiguous();
  const auto error = [&](const char* codec, int crf) {
    const auto path = folder.file("clip.mp4");
    test::write_clip(path, clip, {.codec = codec, .crf = crf});
    return (read_video(path).frames.to(at::kFloat) - clip.to(at::kFloat))
        .pow(2)
        .mean()
        .item<float>();
  };
  for (const char* codec : {"h264", "hevc", "av1"})
    EXPECT_LT(error(codec, 10), error(codec, 45)) << codec;
}

TEST(Mp4, Preset_ReachesTheEncoder) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(5, 64, 64);
  test::write_clip(folder.file("fast.mp4"), clip, {.preset = "ultrafast"});
  test::write_clip(folder.file("slow.mp4"), clip, {.preset = "slow"});
  EXPECT_NE(sha256_file(folder.file("fast.mp4")), sha256_file(folder.file("slow.mp4")));
}

struct RepeatRow {
  const char* codec;
  std::int64_t width, height;
  const char* reason;
};

// Encoders that read memory they never set give other files in other processes; filling fresh
// memory with different bytes shows it.
TEST(Mp4, EveryCodec_IsBitRepeatableWhateverMemoryHeld) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  for (const RepeatRow& row :
       std::vector<RepeatRow>{{"h264", 100, 128, "mbtree of x264 with AVX-512 does not repeat"},
                              {"hevc", 64, 64, "x265 with a single CTU does not repeat"},
                              {"av1", 64, 64, "smallest"}}) {
    const at::Tensor clip = test::noise_clip(5, row.height, row.width);
    std::vector<std::string> digests;
    for (const int filling : {0, 85, 170, 33}) {
      ::mallopt(M_PERTURB, filling);
      test::write_clip(folder.file("a.mp4"), clip, {.codec = row.codec, .crf = 23});
      digests.push_back(sha256_file(folder.file("a.mp4")));
    }
    ::mallopt(M_PERTURB, 0);
    EXPECT_EQ(std::set<std::string>(digests.begin(), digests.end()).size(), 1U)
        << row.codec << ": " << row.reason;
  }
}

TEST(Mp4, Metadata_IsSeenByFfprobe) {
  BW_REQUIRE_FFMPEG();
  BW_REQUIRE_COMMAND("ffprobe");
  const test::TemporaryFolder folder;
  test::write_clip(folder.file("a.mp4"), test::noise_clip(2, 64, 64),
                   {.metadata = "{\"seed\":7}", .title = "ein Füchslein"});
  const std::string tags = test::ffprobe(folder.file("a.mp4"), "format_tags");
  EXPECT_NE(tags.find("TAG:title=ein Füchslein\n"), std::string::npos) << tags;
  EXPECT_NE(tags.find("TAG:description=ein Füchslein\n"), std::string::npos) << tags;
  EXPECT_NE(tags.find("TAG:comment={\"seed\":7}\n"), std::string::npos) << tags;
  EXPECT_EQ(tags.find("encoder"), std::string::npos) << tags;
}

TEST(Mp4, PathLikeAProtocol_IsAFile) {
  BW_REQUIRE_FFMPEG();
  const test::TemporaryFolder folder;
  const auto path = folder.file("pipe:1 'a' %d.mp4");
  test::write_clip(path, test::noise_clip(2, 64, 64));
  EXPECT_EQ(read_video(path).info.num_frames, 2);
}

}  // namespace
}  // namespace bw
