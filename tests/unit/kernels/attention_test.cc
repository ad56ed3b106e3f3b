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

TEST(Attend_FormsOfAnySize, MatchTheFormula) {
  at::manual_seed(3);
  const at::Tensor q = at::randn({2, 2, 5, 4});
  const at::Tensor k = at::randn({2, 2, 7, 4});
  const at::Tensor v = at::randn({2, 2, 7, 4});
  const at::Tensor wanted = reference(q, k, v);
  for (const AttentionForm form : {AttentionForm::kSdpa, AttentionForm::kPlain}) {
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
  EXPECT_EQ(form_of(at::kBFloat16, 640, 24), AttentionForm::kPlain);
  EXPECT_EQ(form_of(at::kBFloat16, 641, 24), AttentionForm::kSdpa);
  const bool has_flash = has_avx512_bf16();
  EXPECT_EQ(form_of(at::kBFloat16, 100, 64),
            has_flash ? AttentionForm::kFlash : AttentionForm::kPlain);
  EXPECT_EQ(form_of(at::kBFloat16, 5000, 128),
            has_flash ? AttentionForm::kFlash : AttentionForm::kSdpa);
}

TEST(AttentionForm_Names, GoBothWays) {
  for (const AttentionForm form : kAttentionForms) {
    EXPECT_EQ(find_attention_form(attention_form_name(form)), form);
  }
  for (const char* other : {"", "rule", "auto", "Sdpa"}) EXPECT_FALSE(find_attention_form(other));
}

// Every form that has no obstacle, on lengths with a remainder, in both dtypes, against double.
TEST(Attend_EveryForm, AgreesWithDoublePrecision) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t keys : {1, 65, 200}) {
      const auto view = [&](std::int64_t length, std::uint64_t seed) {
        return seeded({2, length, 3, 64}, seed, dtype).transpose(1, 2);
      };
      const at::Tensor q = view(77, 1), k = view(keys, 2), v = view(keys, 3);
      const at::Tensor wanted =
          at::scaled_dot_product_attention(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble));
      for (const AttentionForm form : kAttentionForms) {
        if (!attention_obstacle(form, q, k, v).empty()) {
          EXPECT_EQ(form, AttentionForm::kFlash);
          EXPECT_TRUE(dtype == at::kFloat || !has_avx512_bf16());
          continue;
        }
        // bfloat16: 8 bits, of the scores (plain), of their weights and of the result.
        EXPECT_LE(relative_error(attend(q, k, v, form), wanted), dtype == at::kFloat ? 2e-6 : 2e-2)
            << attention_form_name(form) << " " << toString(dtype) << " " << keys;
      }
    }
  }
}

std::string obstacle(at::ScalarType dtype, std::int64_t dim) {
  const at::Tensor q = at::empty({1, 2, 3, dim}, dtype);
  return attention_obstacle(AttentionForm::kFlash, q, q, q);
}

TEST(AttentionObstacle_OfFlash, SaysWhatIsNeeded) {
  EXPECT_EQ(obstacle(at::kFloat, 64), "computes in bfloat16 alone");
  EXPECT_EQ(attention_obstacle(AttentionForm::kFlash, c10::Device(c10::kCUDA), at::kBFloat16),
            "runs on the CPU alone");
  if (!has_avx512_bf16()) GTEST_SKIP() << obstacle(at::kBFloat16, 64);
  EXPECT_EQ(obstacle(at::kBFloat16, 64), "");
  EXPECT_EQ(obstacle(at::kBFloat16, 24),
            "needs heads of 64, 128, 192 or 256 values; this model's have 24");
  EXPECT_NE(obstacle(at::kBFloat16, 320), "");
  const at::Tensor q = at::empty({1, 2, 3, 64}, at::kBFloat16);
  EXPECT_NE(attention_obstacle(AttentionForm::kFlash, q, q.narrow(1, 0, 1), q.narrow(1, 0, 1)), "");
}

TEST(Attend_FormThatDoesNotFit, IsRefusedAndTheOthersTakeIt) {
  const at::Tensor q = seeded({1, 2, 3, 24}, 1);
  EXPECT_THROW((void)attend(q, q, q, AttentionForm::kFlash), c10::Error);
  for (const AttentionForm form : {AttentionForm::kSdpa, AttentionForm::kPlain}) {
    EXPECT_EQ(attention_obstacle(form, q, q, q), "");
    EXPECT_EQ(attention_obstacle(form, c10::Device(c10::kCUDA), at::kFloat), "");
  }
}

TEST(AttentionScope_Nested, InnermostDecidesAndEnds) {
  const at::Tensor q = seeded({1, 3, 40, 8}, 4);
  const at::Tensor plain = attend(q, q, q, AttentionForm::kPlain), sdpa = attend(q, q, q);
  ASSERT_FALSE(at::equal(plain, sdpa));  // the forms round differently
  {
    const AttentionScope outer(AttentionForm::kPlain);
    EXPECT_TRUE(at::equal(attend(q, q, q), plain));
    {
      const AttentionScope inner(std::nullopt);
      EXPECT_TRUE(at::equal(attend(q, q, q), sdpa));
    }
    EXPECT_TRUE(at::equal(attend(q, q, q), plain));
  }
  EXPECT_TRUE(at::equal(attend(q, q, q), sdpa));
}

}  // namespace
}  // namespace bw
