#include "kernels/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simd.h"
#include "support/tensors.h"

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

AttentionForm form_of(at::ScalarType dtype, std::int64_t keys, std::int64_t dim) {
  const at::Tensor q = at::empty({1, 1, 1, dim}, dtype), k = at::empty({1, 1, keys, dim}, dtype);
  return attention_form(q, k, k);
}

TEST(AttentionForm_Rule, DependsOnDtypeAndSizesOnly) {
  for (const std::int64_t keys : {1, 640, 641, 100'000}) {
    EXPECT_EQ(form_of(at::kFloat, keys, 64), AttentionForm::kSdpa);
  }
  // Head sizes that the flash kernel does not take.
  EXPECT_EQ(form_of(at::kBFloat16, 640, 24), AttentionForm::kManual);
  EXPECT_EQ(form_of(at::kBFloat16, 641, 24), AttentionForm::kSdpa);
  const bool has_flash = has_avx512_bf16();
  EXPECT_EQ(form_of(at::kBFloat16, 100, 64),
            has_flash ? AttentionForm::kFlash : AttentionForm::kManual);
  EXPECT_EQ(form_of(at::kBFloat16, 5000, 128),
            has_flash ? AttentionForm::kFlash : AttentionForm::kSdpa);
}

}  // namespace
}  // namespace bw
