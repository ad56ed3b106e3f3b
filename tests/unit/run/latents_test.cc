#include "run/latents.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace bw {
namespace {

// The first three numbers and the last of torch.randn((1, 2, 2, 2, 3),
// generator=torch.Generator().manual_seed(seed)) in torch 2.11 for Python.
struct NoiseOfSeed {
  std::int64_t seed;
  std::array<double, 4> numbers;
  const char* why;
};

const std::array<NoiseOfSeed, 3> kNoise = {{
    {0, {-1.1258398294, -1.1523602009, -0.2505785823, -2.3160419464}, "the least seed"},
    {1, {-1.5255959034, -0.7502318025, -0.6539809108, 2.6890869141}, "the next one differs"},
    {std::numeric_limits<std::int64_t>::max(),
     {-2.6642975807, -1.0910485983, 0.4514474273, -0.0470323041},
     "the greatest seed"},
}};

TEST(DrawNoise_Seed, IsWhatPythonDraws) {
  for (const NoiseOfSeed& row : kNoise) {
    SCOPED_TRACE(row.why);
    const at::Tensor noise =
        draw_noise(row.seed, {.channels = 2, .frames = 2, .height = 2, .width = 3});
    EXPECT_EQ(noise.sizes(), (std::vector<std::int64_t>{1, 2, 2, 2, 3}));
    ASSERT_EQ(noise.scalar_type(), at::kFloat);
    const float* numbers = noise.const_data_ptr<float>();
    // Vector units of different widths round the logarithm differently.
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(numbers[i], row.numbers[i], 1e-6) << i;
    EXPECT_NEAR(numbers[23], row.numbers[3], 1e-6);
  }
}

}  // namespace
}  // namespace bw
