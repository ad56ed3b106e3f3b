#include "kernels/relative_l1.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace bw {
namespace {

TEST(RelativeL1_Sums, SmallIntegers_AreExact) {
  const at::Tensor a = at::arange(1, 101, at::kFloat);
  const at::Tensor b = -a;
  const RelativeL1Sums sums = relative_l1_sums(a, b);
  EXPECT_EQ(sums.difference, 2 * 5050);
  EXPECT_EQ(sums.reference, 5050);
  EXPECT_EQ(sums.distance(), 2);
}

TEST(RelativeL1_Sums, Arguments_TheSecondIsTheDenominator) {
  const at::Tensor a = at::full({7}, 3.0);
  const at::Tensor b = at::full({7}, 2.0);
  EXPECT_EQ(relative_l1_sums(a, b).distance(), 0.5);
  EXPECT_EQ(relative_l1_sums(b, a).distance(), 1.0 / 3);
}

TEST(RelativeL1_Sums, LeadingSlice_ReadsOnlyItsRows) {
  const at::Tensor a = at::stack({at::full({5, 3}, 1.0), at::full({5, 3}, 100.0)});
  const at::Tensor b = at::stack({at::full({5, 3}, 2.0), at::full({5, 3}, 50.0)});
  EXPECT_EQ(relative_l1_sums(a.narrow(0, 0, 1), b.narrow(0, 0, 1)).distance(), 0.5);
  EXPECT_EQ(relative_l1_sums(a.narrow(0, 1, 1), b.narrow(0, 1, 1)).distance(), 1.0);
}

TEST(RelativeL1_Sums, OtherLayoutsAndTypes_GiveTheSame) {
  const at::Tensor a = at::arange(0, 60, at::kFloat).reshape({5, 12});
  const at::Tensor b = a + 1;
  const RelativeL1Sums expected = relative_l1_sums(a, b);
  const auto check = [&](const at::Tensor& x, const at::Tensor& y, const char* what) {
    EXPECT_EQ(relative_l1_sums(x, y).difference, expected.difference) << what;
    EXPECT_EQ(relative_l1_sums(x, y).reference, expected.reference) << what;
  };
  check(a.t().contiguous().t(), b, "unequal strides");
  check(a.t(), b.t(), "transposed, dense");
  check(a.to(at::kDouble), b.to(at::kDouble), "f64");
  check(a.to(at::kHalf), b.to(at::kHalf), "f16");
}

TEST(RelativeL1_Sums, NonFinite_NeverPassesAThreshold) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const float kInf = std::numeric_limits<float>::infinity();
  for (const float bad : {kNan, kInf, -kInf}) {
    for (const std::int64_t where : {0, 31, 32, 99}) {
      at::Tensor a = at::ones({100});
      at::Tensor b = at::ones({100});
      a[where] = bad;
      EXPECT_FALSE(relative_l1_sums(a, b).distance() < 1e300) << bad << " in a at " << where;
      EXPECT_FALSE(relative_l1_sums(b, a).distance() < 1e300) << bad << " in b at " << where;
      EXPECT_FALSE(relative_l1_sums(a, a).distance() < 1e300) << bad << " in both at " << where;
    }
  }
}

TEST(RelativeL1_Sums, ZeroReference_NeverPassesAThreshold) {
  const at::Tensor zeros = at::zeros({40});
  EXPECT_FALSE(relative_l1_sums(zeros, zeros).distance() < 1e300);
  EXPECT_FALSE(relative_l1_sums(at::ones({40}), zeros).distance() < 1e300);
  EXPECT_FALSE(relative_l1_sums(at::empty({0}), at::empty({0})).distance() < 1e300);
}

TEST(RelativeL1_Sums, ShapesOrTypesDiffer_IsABug) {
  EXPECT_THROW((void)relative_l1_sums(at::ones({4}), at::ones({5})), InternalError);
  EXPECT_THROW((void)relative_l1_sums(at::ones({4}), at::ones({4}, at::kDouble)), InternalError);
}

}  // namespace
}  // namespace bw
