#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

// softmax(q kᵀ / sqrt(D)) v in double, written out element by element.
at::Tensor reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::Tensor result = at::zeros_like(q, at::kDouble);
  const at::Tensor queries = q.to(at::kDouble);
  const at::Tensor keys = k.to(at::kDouble);
  const at::Tensor values = v.to(at::kDouble);
  const std::int64_t size = q.size(3);
  for (std::int64_t b = 0; b < q.size(0); ++b) {
    for (std::int64_t h = 0; h < q.size(1); ++h) {
      for (std::int64_t n = 0; n < q.size(2); ++n) {
        std::vector<double> weights;
        double sum = 0;
        for (std::int64_t m = 0; m < k.size(2); ++m) {
          double dot = 0;
          for (std::int64_t d = 0; d < size; ++d) {
            dot += queries[b][h][n][d].item<double>() * keys[b][h][m][d].item<double>();
          }
          weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(size))));
          sum += weights.back();
        }
        for (std::int64_t m = 0; m < k.size(2); ++m) {
          result[b][h][n].add_(values[b][h][m] * (weights[m] / sum));
        }
      }
    }
  }
  return result;
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

TEST(Attend_BothForms, MatchTheFormula) {
  at::manual_seed(3);
  const at::Tensor q = at::randn({2, 2, 5, 4});
  const at::Tensor k = at::randn({2, 2, 7, 4});
  const at::Tensor v = at::randn({2, 2, 7, 4});
  const at::Tensor wanted = reference(q, k, v);
  for (const AttentionForm form : {AttentionForm::kSdpa, AttentionForm::kManual}) {
    EXPECT_LE(relative_error(attend(q, k, v, form), wanted), 1e-6);
    const auto half = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
    const at::Tensor result = attend(half(q), half(k), half(v), form);
    EXPECT_EQ(result.scalar_type(), at::kBFloat16);
    EXPECT_LE(relative_error(result, wanted), 2e-2);  // 8 bits of mantissa, twice rounded
  }
}

TEST(Attend_Float32, IsPlainSdpaBitForBit) {
  at::manual_seed(4);
  const at::Tensor q = at::randn({1, 3, 40, 8});
  EXPECT_TRUE(at::equal(attend(q, q, q), at::scaled_dot_product_attention(q, q, q)));
}

TEST(AttentionForm_Rule, DependsOnDtypeAndKeysOnly) {
  for (const std::int64_t keys : {1, 640, 641, 100'000}) {
    EXPECT_EQ(attention_form(at::kFloat, keys), AttentionForm::kSdpa);
  }
  EXPECT_EQ(attention_form(at::kBFloat16, 640), AttentionForm::kManual);
  EXPECT_EQ(attention_form(at::kBFloat16, 641), AttentionForm::kSdpa);
}

}  // namespace
}  // namespace bw
