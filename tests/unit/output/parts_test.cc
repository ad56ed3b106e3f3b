// The small parts of the writers: frame rates, name patterns, the colour matrix, codecs that are
// missing.
#include "base/error.h"
#include "clips.h"
#include "output/bt709.h"
#include "output/frame_rate.h"
#include "output/sequence_pattern.h"

namespace bw {
namespace {

struct RateRow {
  double fps;
  std::int64_t numerator, denominator;
};

TEST(FrameRate, Value_BecomesTheFractionMeant) {
  for (const RateRow& row : std::vector<RateRow>{{12, 12, 1},
                                                 {24, 24, 1},
                                                 {23.976, 24000, 1001},
                                                 {23.98, 24000, 1001},
                                                 {24000.0 / 1001, 24000, 1001},
                                                 {29.97, 30000, 1001},
                                                 {59.94, 60000, 1001},
                                                 {12.5, 25, 2},
                                                 {0.1, 1, 10},
                                                 {1.0 / 3, 1, 3},
                                                 {16.66666667, 50, 3},
                                                 {1000, 1000, 1},
                                                 {1e-9, 1, 1001}}) {
    const FrameRate rate = to_frame_rate(row.fps);
    EXPECT_EQ(rate.numerator, row.numerator) << row.fps;
    EXPECT_EQ(rate.denominator, row.denominator) << row.fps;
  }
}

struct PatternRow {
  const char* pattern;
  std::int64_t frame;
  const char* name;  // nullptr: no pattern
};

TEST(SequencePattern, Name_IsNumberedOrRefused) {
  for (const PatternRow& row : std::vector<PatternRow>{{"a/%04d.png", 7, "a/0007.png"},
                                                       {"%04d.png", 123456, "123456.png"},
                                                       {"x%dy.png", 7, "x7y.png"},
                                                       {"100%/f_%02d.png", 3, "100%/f_03.png"},
                                                       {"%04d/f.png", 0, nullptr},
                                                       {"%4d.png", 0, nullptr},
                                                       {"%00d.png", 0, nullptr},
                                                       {"%010d.png", 0, nullptr},
                                                       {"%d%d.png", 0, nullptr},
                                                       {"%%d.png", 0, nullptr},
                                                       {"%n.png", 0, nullptr},
                                                       {"f.png", 0, nullptr}}) {
    const auto pattern = SequencePattern::parse(row.pattern);
    ASSERT_EQ(pattern.has_value(), row.name != nullptr) << row.pattern;
    if (pattern) {
      EXPECT_EQ(pattern->name(row.frame), row.name);
    }
  }
}

TEST(Bt709, TenBits_AreExactForAllColours) {
  // Every red and green, and blue in steps: the conversion is linear, so no blue can be worse than
  // its neighbours' error.
  const at::Tensor levels = at::arange(256, at::kByte);
  const at::Tensor red = levels.view({256, 1}).expand({256, 256});
  const at::Tensor green = levels.view({1, 256}).expand({256, 256});
  for (int blue = 0; blue < 256; blue += 15) {
    const at::Tensor frame = at::stack({red, green, at::full_like(red, blue)}, 2).unsqueeze(0);
    const at::Tensor codes = rgb_to_ycbcr(frame, {.bits = 10}).round();
    ASSERT_TRUE(at::equal(ycbcr_to_rgb(codes, {.bits = 10}), frame)) << blue;
    const at::Tensor eight = rgb_to_ycbcr(frame, {.bits = 8}).round();
    ASSERT_LE(test::max_difference(ycbcr_to_rgb(eight, {.bits = 8}), frame).item<int>(), 2) << blue;
    ASSERT_GE(eight.min().item<double>(), 16);
    ASSERT_LE(eight.max().item<double>(), 240);
  }
}

struct ColourRow {
  std::array<int, 3> rgb;
  std::array<double, 3> ycbcr;  // SMPTE RP 219 colour bars, 8 bits, limited range
};

TEST(Bt709, ColourBars_AreThoseOfTheStandard) {
  for (const ColourRow& row : std::vector<ColourRow>{{{255, 255, 255}, {235, 128, 128}},
                                                     {{255, 255, 0}, {219, 16, 138}},
                                                     {{0, 255, 255}, {188, 154, 16}},
                                                     {{0, 255, 0}, {173, 42, 26}},
                                                     {{255, 0, 255}, {78, 214, 230}},
                                                     {{255, 0, 0}, {63, 102, 240}},
                                                     {{0, 0, 255}, {32, 240, 118}},
                                                     {{0, 0, 0}, {16, 128, 128}}}) {
    const at::Tensor codes = rgb_to_ycbcr(test::flat_clip(1, row.rgb), {.bits = 8}).round();
    for (std::int64_t plane = 0; plane < 3; ++plane) {
      EXPECT_EQ(codes[0][plane][5][5].item<double>(), row.ycbcr[static_cast<std::size_t>(plane)])
          << row.rgb[0] << "," << row.rgb[1] << "," << row.rgb[2] << " plane " << plane;
    }
  }
}

TEST(Bt709, FullRange_UsesAllCodes) {
  const at::Tensor white =
      rgb_to_ycbcr(test::flat_clip(1, {255, 255, 255}), {.bits = 8, .is_full_range = true});
  EXPECT_NEAR(white[0][0][0][0].item<double>(), 255, 1e-9);
  EXPECT_NEAR(white[0][1][0][0].item<double>(), 128, 1e-9);
}

}  // namespace
}  // namespace bw
