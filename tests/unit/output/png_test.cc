// PNG files against zlib and FFmpeg, which are independent of our reader and writer.
#include "output/png.h"

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "clips.h"
#include "output/inflate.h"
#include "output/video_reader.h"

namespace bw {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

struct ZlibRow {
  const char* hex;
  std::string text;
  const char* reason;
};

// Made by Python's zlib.compress(text, level).
std::vector<ZlibRow> zlib_rows() {
  std::string words;
  for (int i = 0; i < 60; ++i)
    words += std::to_string(i * i * 7919) + (i % 3 == 0 ? "fox" : "snow");
  return {
#include "zlib_rows.inc"
  };
}

TEST(Inflate, ZlibsStreams_AreDecompressed) {
  for (const ZlibRow& row : zlib_rows()) {
    EXPECT_EQ(inflate_zlib(from_hex(row.hex), row.text.size(), "x"), row.text) << row.reason;
  }
}

TEST(Inflate, DamagedStream_IsInputErrorNeverWorse) {
  for (const ZlibRow& row : zlib_rows()) {
    const std::string bytes = from_hex(row.hex);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_THROW(std::ignore = inflate_zlib(bytes.substr(0, i), 1 << 16, "x"), InputError)
          << row.reason << " cut at " << i;
      for (const int bit : {0, 3, 7}) {
        std::string flipped = bytes;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        try {  // a flipped bit may be harmless (an unused one), but then the text is the same
          EXPECT_EQ(inflate_zlib(flipped, 1 << 16, "x"), row.text) << row.reason << " byte " << i;
        } catch (const InputError&) {
        }
      }
    }
  }
}

TEST(Inflate, TooManyBytes_AreRefused) {
  for (const ZlibRow& row : zlib_rows()) {
    if (row.text.empty()) continue;
    EXPECT_THROW(std::ignore = inflate_zlib(from_hex(row.hex), row.text.size() - 1, "x"),
                 InputError)
        << row.reason;
  }
}

TEST(Png, Pixels_RoundTripWithTexts) {
  const at::Tensor pixels = test::noise_clip(1, 150, 160)[0];  // more than one stored block
  const PngImage image = decode_png(
      encode_png({pixels, {{"Title", "狐 🦊"}, {"Comment", std::string(70'000, 'x')}}}), "x");
  EXPECT_TRUE(at::equal(image.pixels, pixels));
  ASSERT_EQ(image.texts.size(), 2U);
  EXPECT_EQ(image.texts[0].text, "狐 🦊");
  EXPECT_EQ(image.texts[1].text.size(), 70'000U);
}

TEST(Png, DamagedFile_IsInputErrorNeverWorse) {
  const at::Tensor pixels = test::noise_clip(1, 4, 4)[0];
  const std::string bytes = encode_png({pixels, {{"Title", "t"}}});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_THROW(std::ignore = decode_png(bytes.substr(0, i), "x"), InputError) << "cut at " << i;
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_THROW(std::ignore = decode_png(flipped, "x"), InputError) << "byte " << i;
  }
}

TEST(Png, Ffmpeg_ReadsWhatWeWrote) {
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(2, 33, 35);
  test::write_clip(folder.file("%04d.png"), clip, {.metadata = "{}", .title = "ä"});
  const std::string raw = test::output_of(
      "ffmpeg -v error -i '" + folder.file("%04d.png").string() + "' -f rawvideo -pix_fmt rgb24 -");
  ASSERT_EQ(raw.size(), clip.nbytes());
  EXPECT_EQ(std::memcmp(raw.data(), clip.const_data_ptr(), raw.size()), 0);
}

TEST(Png, FfmpegsFiles_AreRead) {
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  const at::Tensor clip = test::noise_clip(2, 33, 35);
  test::write_clip(folder.file("in_%d.png"), clip);
  for (const char* filter : {"none", "sub", "up", "avg", "paeth", "mixed"}) {
    for (const char* format : {"rgb24", "rgba"}) {
      test::output_of("ffmpeg -v error -y -i '" + folder.file("in_%d.png").string() + "' -pred " +
                      filter + " -pix_fmt " + format + " '" + folder.file("out_%d.png").string() +
                      "'");
      EXPECT_TRUE(at::equal(read_video(folder.file("out_%d.png")).frames, clip))
          << filter << " " << format;
    }
  }
}

TEST(Png, Grey_IsSpreadOverTheChannels) {
  BW_REQUIRE_COMMAND("ffmpeg");
  const test::TemporaryFolder folder;
  test::output_of("ffmpeg -v error -f lavfi -i color=c=gray:s=16x16 -frames:v 1 -pix_fmt gray '" +
                  folder.file("0.png").string() + "'");
  const at::Tensor frames = read_video(folder.file("%d.png")).frames;
  EXPECT_TRUE(at::equal(frames.select(3, 0), frames.select(3, 2)));
}

}  // namespace
}  // namespace bw
