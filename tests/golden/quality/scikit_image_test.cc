// PSNR and SSIM against scikit-image; models/reference/quality.py made the files.
#include "support/golden_clips.h"

namespace bw {
namespace {

TEST(ScikitImage, EveryCase_AgreesPerFrameAndInTheMean) {
  const Json golden = read_json_file(golden_path("quality.json"));
  const Safetensors clips = read_safetensors(golden_path("quality.safetensors"));
  const Origin here = Origin::file("golden");
  const std::vector<MetricInfo> chosen = {find_metric("psnr", here), find_metric("ssim", here)};
  std::size_t checked = 0;
  for (const auto& [name, expected] : golden.at("cases").items()) {
    for (const MetricResult& result :
         compare(clips.tensors.at(name + ".b"), clips.tensors.at(name + ".a"), chosen)) {
      const double tolerance = golden.at("tolerance").at(result.name);
      const Json& expected_values = expected.at(result.name);
      EXPECT_NEAR(result.mean, expected_values.at("mean").get<double>(), tolerance)
          << name << " " << result.name;
      ASSERT_EQ(result.values.size(), expected_values.at("frames").size());
      for (std::size_t i = 0; i < result.values.size(); ++i) {
        EXPECT_NEAR(result.values[i], expected_values.at("frames")[i].get<double>(), tolerance)
            << name << " " << result.name << " frame " << i;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 24U);
}

}  // namespace
}  // namespace bw
