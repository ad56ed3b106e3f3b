// PSNR and SSIM against scikit-image; models/reference/quality.py made the files.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/files.h"
#include "base/json.h"
#include "quality/compare.h"

namespace bw {
namespace {

std::string data_path(const std::string& name) {
  return std::string(BW_TEST_DATA) + "/golden/" + name;
}

// Just enough of safetensors for uint8 clips: u64 length, JSON header, bytes.
class Clips {
 public:
  explicit Clips(const std::string& path) : bytes_(read_file(path)) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), sizeof(length));
    header_ = Json::parse(bytes_.substr(sizeof(length), length));
    begin_ = sizeof(length) + length;
  }

  [[nodiscard]] at::Tensor get(const std::string& name) const {
    const Json& entry = header_.at(name);
    EXPECT_EQ(entry.at("dtype"), "U8");
    const at::Tensor tensor =
        at::empty(entry.at("shape").get<std::vector<std::int64_t>>(), at::kByte);
    const auto offset = entry.at("data_offsets").at(0).get<std::size_t>();
    std::memcpy(tensor.data_ptr(), bytes_.data() + begin_ + offset, tensor.nbytes());
    return tensor;
  }

 private:
  std::string bytes_;
  Json header_;
  std::size_t begin_ = 0;
};

TEST(ScikitImage, EveryCase_AgreesPerFrameAndInTheMean) {
  const Json golden = read_json_file(data_path("quality.json"));
  const Clips clips(data_path("quality.safetensors"));
  const Origin here = Origin::file("golden");
  const std::vector<MetricInfo> chosen = {find_metric("psnr", here), find_metric("ssim", here)};
  std::size_t checked = 0;
  for (const auto& [name, expected] : golden.at("cases").items()) {
    for (const MetricResult& result :
         compare(clips.get(name + ".b"), clips.get(name + ".a"), chosen)) {
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
