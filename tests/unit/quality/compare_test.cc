// Closed forms of PSNR and SSIM, and what compare() makes of clips. Values against other
// implementations: tests/golden/quality.
#include "quality/compare.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace bw {
namespace {

at::Tensor flat(std::int64_t frames, int value) {
  return at::full({frames, 16, 20, 3}, value, at::kByte);
}

at::Tensor latents(std::int64_t frames) { return at::ones({1, 5, frames, 3, 4}); }

double mean_of(std::string_view name, const at::Tensor& a, const at::Tensor& b) {
  const MetricInfo& metric = find_metric(name, Origin::flag("--metric"));
  return compare(a, b, {&metric, 1}).front().mean;
}

TEST(Psnr, ConstantDifference_IsItsClosedForm) {
  for (const int difference : {1, 10, 255}) {
    EXPECT_NEAR(mean_of("psnr", flat(2, 0), flat(2, difference)),
                20 * std::log10(255.0 / difference), 1e-12);
  }
}

TEST(Psnr, EqualFrames_Are100dB) { EXPECT_EQ(mean_of("psnr", flat(2, 7), flat(2, 7)), 100.0); }

TEST(Psnr, OneOffInOneChannel_CountsAllChannels) {
  const at::Tensor a = flat(1, 100);
  at::Tensor b = a.clone();
  b[0][3][4][1] = 101;
  EXPECT_NEAR(mean_of("psnr", a, b), 10 * std::log10(255.0 * 255.0 * 16 * 20 * 3), 1e-9);
}

TEST(Psnr, FramesAreAveragedInDecibels_NotPooled) {
  const at::Tensor a = flat(2, 0);
  at::Tensor b = a.clone();
  b[1].fill_(1);
  EXPECT_NEAR(mean_of("psnr", a, b), (100.0 + 20 * std::log10(255.0)) / 2, 1e-12);
}

TEST(Ssim, EqualFrames_AreOne) {
  const at::Tensor a =
      at::arange(16 * 20 * 3, at::kInt).remainder(256).to(at::kByte).view({1, 16, 20, 3});
  EXPECT_NEAR(mean_of("ssim", a, a), 1.0, 1e-12);
}

TEST(Ssim, FlatFrames_AreTheLuminanceTerm) {
  const double a = 50 / 255.0;
  const double b = 200 / 255.0;
  const double c1 = 1e-4;
  EXPECT_NEAR(mean_of("ssim", flat(1, 50), flat(1, 200)), (2 * a * b + c1) / (a * a + b * b + c1),
              1e-12);
}

TEST(Ssim, DifferenceOutsideTheValidRegion_StillEntersThroughTheWindow) {
  const at::Tensor a = flat(1, 100);
  at::Tensor corner = a.clone();
  corner[0][0][0][0] = 255;
  at::Tensor middle = a.clone();
  middle[0][8][10][0] = 255;
  const double at_corner = mean_of("ssim", a, corner);
  EXPECT_LT(at_corner, 1.0);
  EXPECT_LT(mean_of("ssim", a, middle), at_corner);
}

TEST(Compare, WorstFrame_IsTheFirstOfTheWorst) {
  const at::Tensor a = flat(5, 100);
  at::Tensor b = a.clone();
  b[1].fill_(110);
  b[2].fill_(130);
  b[4].fill_(130);
  const Origin here = Origin::flag("--metric");
  const std::vector<MetricInfo> chosen = {find_metric("psnr", here), find_metric("ssim", here)};
  for (const MetricResult& result : compare(b, a, chosen)) {
    EXPECT_EQ(result.worst_frame, 2) << result.name;
    EXPECT_EQ(result.worst, result.values[2]) << result.name;
    EXPECT_EQ(result.values.size(), 5U) << result.name;
    EXPECT_GT(result.mean, result.worst) << result.name;
  }
}

// A metric where less is better, to see that the worst is then the largest.
std::vector<double> mean_error(const at::Tensor& a, const at::Tensor& b) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    values.push_back((a[i].to(at::kDouble) - b[i].to(at::kDouble)).abs().mean().item<double>());
  }
  return values;
}

TEST(Compare, LowerIsBetter_WorstIsTheLargest) {
  const MetricInfo metric{
      .name = "error", .unit = "", .summary = "", .better = Better::kLower, .measure = mean_error};
  at::Tensor b = flat(3, 100);
  b[1].fill_(90);
  const MetricResult result = compare(flat(3, 100), b, {&metric, 1}).front();
  EXPECT_EQ(result.worst_frame, 1);
  EXPECT_EQ(result.worst, 10);
}

struct BadPair {
  at::Tensor a, b;
  const char* message;
  const char* reason;
};

TEST(Compare, ClipsThatDoNotMatch_AreInputErrors) {
  const std::vector<BadPair> rows = {
      {flat(3, 0), flat(4, 0), "3 frames of 20x16 against 4 frames of 20x16", "frame count"},
      {flat(3, 0), flat(3, 0).narrow(2, 0, 18), "18x16", "width"},
      {flat(0, 0), flat(0, 0), "no frames", "empty"},
      {flat(2, 0).narrow(1, 0, 10), flat(2, 0).narrow(1, 0, 10), "11 pixels",
       "window larger than the frame"},
      {flat(2, 0), latents(2), "2 frames of 20x16 against 2 latent frames of 4x3", "kind"},
      {latents(2), latents(2),
       "ssim measures frames, but these are latents; for them there are "
       "cosine_distance, relative_l2",
       "metric of the other kind"},
      {latents(2).fill_(NAN), latents(2),
       "the latents of the video hold values that are not finite", "NaN"},
      {latents(2), latents(2).fill_(INFINITY), "the latents of the reference", "infinity"},
  };
  for (const BadPair& row : rows) {
    try {
      const MetricInfo& ssim = find_metric("ssim", Origin::flag("--metric"));
      std::ignore = compare(row.a, row.b, {&ssim, 1});
      ADD_FAILURE() << row.reason;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos)
          << row.reason << ": " << error.what();
    }
  }
}

TEST(Compare, OneFrame_HasNoTransitions) {
  const MetricInfo& flicker = find_metric("flicker", Origin::flag("--metric"));
  EXPECT_THROW(std::ignore = compare(flat(1, 0), flat(1, 0), {&flicker, 1}), InputError);
}

TEST(Compare, NotFrames_IsABug) {
  EXPECT_THROW(std::ignore = compare(flat(1, 0).to(at::kFloat), flat(1, 0), {}), InternalError);
  EXPECT_THROW(std::ignore = compare(flat(1, 0), flat(1, 0)[0], {}), InternalError);
}

std::vector<std::string> usual_names(const at::Tensor& clip) {
  std::vector<std::string> names;
  for (const MetricInfo& metric : usual_metrics(clip)) names.emplace_back(metric.name);
  return names;
}

TEST(UsualMetrics, AreThoseThatTheClipHasRoomFor) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(usual_names(flat(2, 0)), (Names{"psnr", "ssim", "flip", "flicker", "flicker_ratio"}));
  EXPECT_EQ(usual_names(flat(1, 0)), (Names{"psnr", "ssim", "flip"}));
  EXPECT_EQ(usual_names(flat(1, 0).narrow(1, 0, 10)), (Names{"psnr", "flip"}));
  EXPECT_EQ(usual_names(latents(1)), (Names{"cosine_distance", "relative_l2"}));
}

MetricResult summary(Better better, std::vector<double> values) {
  MetricInfo metric{.name = "test", .unit = "", .summary = ""};
  metric.better = better;
  return summarize(metric, std::move(values));
}

TEST(Summarize, P10_IsTheValueATenthOfTheWayFromTheWorst) {
  std::vector<double> values;
  for (int i = 0; i < 21; ++i) values.push_back((i * 8) % 21);  // 0 to 20, shuffled
  EXPECT_EQ(summary(Better::kHigher, values).p10, 2);
  EXPECT_EQ(summary(Better::kLower, values).p10, 18);
  EXPECT_EQ(summary(Better::kHigher, values).mean, 10);
  EXPECT_EQ(summary(Better::kHigher, {5, 3}).p10, 3);
  EXPECT_EQ(summary(Better::kHigher, {5}).p10, 5);
}

TEST(Summarize, NearestOne_WorstIsTheFarthestByRatio) {
  const MetricResult result = summary(Better::kNearestOne, {1.0, 1.5, 0.5, 1.9});
  EXPECT_EQ(result.worst, 0.5);
  EXPECT_EQ(result.worst_frame, 2);
}

TEST(FindMetric, UnknownName_NamesTheNearest) {
  EXPECT_EQ(find_metric("ssim", Origin::flag("--metric")).unit, "");
  try {
    std::ignore = find_metric("pnsr", Origin::flag("--metric"));
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'psnr'"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace bw
