// Every instruction set that this processor has gives what the plainest one gives.
#include "kernels/simd.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace bw {
namespace {

constexpr std::int64_t kRows = 7, kDim = 150;

at::Tensor norm(const SimdKernels& kernels, const at::Tensor& x, Element type) {
  const at::Tensor y = at::empty_like(x), weight = seeded({kDim}, 2), shift = seeded({kDim}, 3),
                   scale = seeded({kDim}, 4);
  kernels.norm_modulate({.x = x.const_data_ptr(),
                         .y = y.mutable_data_ptr(),
                         .stride = kDim,
                         .dim = kDim,
                         .weight = weight.const_data_ptr(),
                         .bias = nullptr,
                         .shift = shift.const_data_ptr(),
                         .scale = scale.const_data_ptr(),
                         .eps = 1e-6F},
                        type, Element::kFloat32, 0, kRows);
  return y;
}

at::Tensor gelu(const SimdKernels& kernels, const at::Tensor& x, Element type) {
  const at::Tensor y = at::empty_like(x);
  kernels.activate({.x = x.const_data_ptr(), .y = y.mutable_data_ptr(), .tanh_form = true}, type, 0,
                   x.numel());
  return y;
}

TEST(SimdKernels, EveryInstructionSet_AgreesWithThePlainOne) {
  const SimdKernels* base = find_simd_kernels("base");
  ASSERT_NE(base, nullptr);
  for (const char* name : {"avx2", "avx512"}) {
    const SimdKernels* kernels = find_simd_kernels(name);
    if (kernels == nullptr) continue;  // this processor lacks it
    for (const auto& [dtype, type] :
         {std::pair{at::kFloat, Element::kFloat32}, std::pair{at::kBFloat16, Element::kBFloat16}}) {
      const at::Tensor x = seeded({kRows, kDim}, 1, dtype);
      // Sums may be fused to other roundings, nothing more.
      const double limit = dtype == at::kFloat ? 2e-6 : 8e-3;
      EXPECT_LE(relative_error(norm(*kernels, x, type), norm(*base, x, type)), limit) << name;
      EXPECT_LE(relative_error(gelu(*kernels, x, type), gelu(*base, x, type)), limit) << name;
    }
  }
}

TEST(SimdKernels, UnknownName_IsNull) { EXPECT_EQ(find_simd_kernels("neon"), nullptr); }

TEST(SimdKernels, Best_IsOneOfTheNamed) {
  EXPECT_EQ(find_simd_kernels(simd_kernels().name), &simd_kernels());
}

}  // namespace
}  // namespace bw
