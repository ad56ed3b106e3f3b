// The fused kernel against its ATen reference over dtypes, sizes around its lanes and chunks, and
// numbers of threads.
#include "kernels/relative_l1.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

at::Tensor seeded(std::int64_t size, std::uint64_t seed, at::ScalarType dtype) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn({size}, generator, at::TensorOptions().dtype(at::kFloat)).to(dtype);
}

constexpr std::int64_t kSizes[] = {1,
                                   31,
                                   32,
                                   33,
                                   1000,
                                   kRelativeL1Chunk - 1,
                                   kRelativeL1Chunk,
                                   kRelativeL1Chunk + 1,
                                   5 * kRelativeL1Chunk + 77,
                                   1'000'003};

// A lane adds at most 512 non-negative f32 numbers: relative error below 512·2⁻²⁴ = 3.1e-5.
constexpr double kTolerance = 3.1e-5;

TEST(RelativeL1_Conformance, EverySizeAndType_MatchesTheReference) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t size : kSizes) {
      const at::Tensor b = seeded(size, 1, dtype);
      const at::Tensor a = (b.to(at::kFloat) + seeded(size, 2, at::kFloat) / 50).to(dtype);
      const RelativeL1Sums fused = relative_l1_sums(a, b);
      // The kernel subtracts in f32, where the f64 difference of two f32 may not be representable.
      const RelativeL1Sums reference = relative_l1_sums_ref(a, b);
      const double error = std::abs(fused.difference - reference.difference);
      EXPECT_LE(error, kTolerance * reference.difference) << toString(dtype) << " " << size;
      EXPECT_LE(std::abs(fused.reference - reference.reference), kTolerance * reference.reference)
          << toString(dtype) << " " << size;
    }
  }
}

TEST(RelativeL1_Conformance, NumberOfThreads_DoesNotChangeABit) {
  const int threads_before = at::get_num_threads();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor a = seeded(40 * kRelativeL1Chunk + 5, 3, dtype);
    const at::Tensor b = seeded(40 * kRelativeL1Chunk + 5, 4, dtype);
    at::set_num_threads(1);
    const RelativeL1Sums one = relative_l1_sums(a, b);
    for (const int threads : {2, 3, 4}) {
      at::set_num_threads(threads);
      const RelativeL1Sums many = relative_l1_sums(a, b);
      EXPECT_EQ(one.difference, many.difference) << threads << " threads";
      EXPECT_EQ(one.reference, many.reference) << threads << " threads";
    }
  }
  at::set_num_threads(threads_before);
}

// The order of additions written out with plain loops: no instruction set may change the bits.
TEST(RelativeL1_Conformance, OrderOfAdditions_IsAsDocumented) {
  const std::int64_t size = 3 * kRelativeL1Chunk + 45;
  const at::Tensor a = seeded(size, 5, at::kFloat);
  const at::Tensor b = seeded(size, 6, at::kFloat);
  double total = 0;
  for (std::int64_t first = 0; first < size; first += kRelativeL1Chunk) {
    float lanes[32] = {};
    const std::int64_t end = std::min(size, first + kRelativeL1Chunk);
    for (std::int64_t i = first; i < end; ++i) {
      lanes[(i - first) % 32] +=
          std::fabs(a.const_data_ptr<float>()[i] - b.const_data_ptr<float>()[i]);
    }
    double sums[32];
    std::copy(lanes, lanes + 32, sums);
    for (int width = 16; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    }
    total += sums[0];
  }
  EXPECT_EQ(relative_l1_sums(a, b).difference, total);
}

}  // namespace
}  // namespace bw
