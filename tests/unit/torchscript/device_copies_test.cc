#include "torchscript/device_copies.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/simd.h"
#include "support/tensors.h"

namespace bw {
namespace {

const c10::Device kCpu(c10::kCPU);

TEST(DeviceCopies, StoredForm_IsTheMappedTensor) {
  DeviceCopies copies(kCpu);
  const at::Tensor mapped = seeded({8, 16}, 1);
  EXPECT_TRUE(copies.get(mapped, at::kFloat).is_same(mapped));
  EXPECT_EQ(copies.bytes().stored, 8U * 16 * 4);
  EXPECT_EQ(copies.bytes().copies, 0U);
}

TEST(DeviceCopies, SharedWeight_IsPreparedAndCountedOnce) {
  if (!has_int8_products()) GTEST_SKIP() << "needs AVX-512 VNNI";
  DeviceCopies copies(kCpu);
  const at::Tensor mapped = seeded({8, 16}, 1);
  const at::Tensor int8 = copies.get(mapped, at::kFloat, WeightForm::kInt8);
  EXPECT_TRUE(int8.is_quantized());
  EXPECT_TRUE(copies.get(mapped, at::kFloat, WeightForm::kInt8).is_same(int8));
  EXPECT_TRUE(copies.get(mapped, at::kFloat).is_same(mapped));  // another form, another tensor
  EXPECT_EQ(copies.bytes().stored, 8U * 16 * 4);
  EXPECT_EQ(copies.bytes().copies, 8U * 16 + 8 * 16);  // values, then scales and zero points
  // The same memory under another shape is another weight.
  const at::Tensor half = mapped.narrow(0, 0, 4);
  EXPECT_EQ(copies.get(half, at::kFloat, WeightForm::kInt8).size(0), 4);
}

TEST(DeviceCopies, Packed_IsCountedWhereTheProcessorPacks) {
  DeviceCopies copies(kCpu);
  const at::Tensor mapped = seeded({8, 16}, 1);
  const at::Tensor packed = copies.get(mapped, at::kBFloat16, WeightForm::kPacked);
  EXPECT_EQ(packed.is_mkldnn(), has_avx512_bf16());
  EXPECT_EQ(copies.bytes().copies, 8U * 16 * 2);  // packed, or converted alone
  const at::Tensor kernel = seeded({4, 3, 3, 3}, 2);
  EXPECT_TRUE(copies.get(kernel, at::kFloat, WeightForm::kPacked)
                  .is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_EQ(copies.bytes().copies, 8U * 16 * 2 + 4 * 3 * 3 * 3 * 4);
}

TEST(DeviceCopies, CountOnly_CountsTheSameAndPreparesNothing) {
  DeviceCopies real(kCpu), counting(kCpu, /*count_only=*/true);
  const at::Tensor mapped = seeded({8, 16}, 1), bias = seeded({8}, 2);
  for (DeviceCopies* copies : {&real, &counting}) {
    (void)copies->get(mapped, at::kBFloat16, WeightForm::kPacked);
    (void)copies->get(mapped, at::kBFloat16, WeightForm::kPacked);
    (void)copies->get(bias, at::kBFloat16);
  }
  EXPECT_TRUE(counting.get(mapped, at::kBFloat16, WeightForm::kPacked).is_same(mapped));
  EXPECT_EQ(counting.bytes().stored, real.bytes().stored);
  EXPECT_EQ(counting.bytes().copies, real.bytes().copies);
}

}  // namespace
}  // namespace bw
