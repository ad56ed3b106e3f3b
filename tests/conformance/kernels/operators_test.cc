// Every fused operator against its ATen reference, over dtypes and sizes around the sixteen lanes,
// through the dispatcher as rewritten graphs call them.
#include "kernels/operators.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/gated_add.h"
#include "kernels/linear.h"
#include "kernels/norm_modulate.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/simd.h"
#include "support/tensors.h"

namespace bw {
namespace {

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};
constexpr std::int64_t kDims[] = {1, 15, 16, 17, 32, 100, 192};

// Rounding to f32 or bf16 once on either side, of values computed in another order.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-6 : 8e-3; }

void expect_near(const at::Tensor& found, const at::Tensor& wanted, const std::string& what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  ASSERT_EQ(found.scalar_type(), wanted.scalar_type()) << what;
  EXPECT_LE(relative_error(found, wanted), tolerance(wanted.scalar_type())) << what;
}

std::string name(at::ScalarType x, at::ScalarType p, std::int64_t dim) {
  return std::string(c10::toString(x)) + " with " + c10::toString(p) + ", dim " +
         std::to_string(dim);
}

TEST(Operators, EveryName_IsRegistered) {
  register_operators();
  for (const char* op :
       {"norm_modulate", "gated_add", "qk_norm_rope", "linear", "gated_activation", "attention"}) {
    EXPECT_TRUE(c10::Dispatcher::singleton().findSchema({std::string("bw::") + op, ""})) << op;
  }
}

TEST(NormModulate, EveryTypeAndSize_MatchesReference) {
  for (const auto x_type : kTypes) {
    for (const auto p_type : kTypes) {
      for (const std::int64_t dim : kDims) {
        const at::Tensor x = seeded({2, 5, dim}, 1, x_type) * 3 + 1;
        const Affine affine{seeded({dim}, 2, p_type), seeded({dim}, 3, p_type)};
        const ShiftScale shift_scale{seeded({2, 1, dim}, 4, p_type),
                                     seeded({2, 1, dim}, 5, p_type)};
        const std::string what = name(x_type, p_type, dim);
        for (const Affine& a : {Affine{}, affine}) {
          for (const ShiftScale& s : {ShiftScale{}, shift_scale}) {
            if (dim == 1 && !a.weight && !s.scale) continue;  // all zeros
            expect_near(norm_modulate(x, a, s, 1e-6), norm_modulate_ref(x, a, s, 1e-6), what);
          }
        }
      }
    }
  }
}

TEST(NormModulate, OneModulationForAllEntries_AndRowsWithGaps) {
  const at::Tensor x = seeded({3, 7, 80}, 6).narrow(2, 8, 64);
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{64}, {1, 1, 64}}) {
    const ShiftScale s{seeded(shape, 7), seeded(shape, 8)};
    expect_near(norm_modulate(x, {}, s, 1e-5), norm_modulate_ref(x, {}, s, 1e-5), "gaps");
  }
}

TEST(NormModulate, ParameterOfAnotherShape_IsRefused) {
  const at::Tensor x = seeded({2, 3, 8}, 9);
  EXPECT_THROW((void)norm_modulate(x, {seeded({7}, 1), {}}, {}, 1e-6), c10::Error);
  EXPECT_THROW((void)norm_modulate(x, {}, {seeded({3, 1, 8}, 1), seeded({3, 1, 8}, 2)}, 1e-6),
               c10::Error);
}

TEST(GatedAdd, EveryTypeAndSize_MatchesReference) {
  for (const auto x_type : kTypes) {
    for (const auto p_type : kTypes) {
      for (const std::int64_t dim : kDims) {
        const at::Tensor hidden = seeded({2, 5, dim}, 1, x_type),
                         output = seeded({2, 5, dim}, 2, x_type);
        for (const std::int64_t entries : {1, 2}) {
          const at::Tensor gate = seeded({entries, 1, dim}, 3, p_type);
          expect_near(gated_add(hidden, output, gate), gated_add_ref(hidden, output, gate),
                      name(x_type, p_type, dim));
        }
      }
    }
  }
}

TEST(QkNormRope, EveryForm_MatchesReference) {
  constexpr std::int64_t kHeads = 3, kTokens = 5;
  for (const auto x_type : kTypes) {
    for (const auto p_type : kTypes) {
      for (const std::int64_t dim : {4, 30, 32, 34, 64, 128}) {
        for (const NormSpan span : {NormSpan::kHead, NormSpan::kRow}) {
          for (const RopePairs pairs :
               {RopePairs::kNone, RopePairs::kHalves, RopePairs::kAdjacent}) {
            // A view of [B,N,3·heads·D], as a joint projection gives it.
            const at::Tensor x = seeded({2, kTokens, 3 * kHeads * dim}, 1, x_type)
                                     .narrow(2, kHeads * dim, kHeads * dim)
                                     .unflatten(2, {kHeads, dim})
                                     .transpose(1, 2);
            QkNormRope how{
                .weight = seeded({span == NormSpan::kRow ? kHeads * dim : dim}, 2, p_type),
                .eps = 1e-6,
                .span = span,
                .pairs = pairs,
                .cos = {},
                .sin = {}};
            if (pairs != RopePairs::kNone) {
              how.cos = seeded({1, 1, kTokens, dim / 2}, 3, p_type);
              how.sin = seeded({1, 1, kTokens, dim / 2}, 4, p_type);
            }
            expect_near(qk_norm_rope(x, how), qk_norm_rope_ref(x, how), name(x_type, p_type, dim));
            how.weight.reset();
            expect_near(qk_norm_rope(x, how), qk_norm_rope_ref(x, how), "no weight");
          }
        }
      }
    }
  }
}

TEST(QkNormRope, TablesPerEntry_MatchReference) {
  const at::Tensor x = seeded({2, 3, 5, 64}, 1);
  const QkNormRope how{.weight = {},
                       .eps = 1e-6,
                       .span = NormSpan::kHead,
                       .pairs = RopePairs::kHalves,
                       .cos = seeded({2, 1, 5, 32}, 2),
                       .sin = seeded({2, 1, 5, 32}, 3)};
  expect_near(qk_norm_rope(x, how), qk_norm_rope_ref(x, how), "tables per entry");
}

TEST(Activation, BothForms_MatchReferenceOverTheirRange) {
  for (const auto type : kTypes) {
    const at::Tensor x =
        at::cat({at::linspace(-100, 100, 40'007), seeded({30'011}, 1) * 3}).to(type);
    for (const Activation form : {Activation::kGelu, Activation::kGeluTanh}) {
      const at::Tensor found = activate(x, form).to(at::kDouble);
      const at::Tensor wanted =
          at::gelu(x.to(at::kDouble), form == Activation::kGelu ? "none" : "tanh");
      // Where |x| is small the result is, so the error is taken against 1 + |result|.
      const double error = ((found - wanted).abs() / (1 + wanted.abs())).max().item<double>();
      EXPECT_LE(error, type == at::kFloat ? 4e-7 : 4e-3);
    }
  }
}

TEST(GatedActivation, EverySize_MatchesReference) {
  for (const auto type : kTypes) {
    for (const std::int64_t dim : kDims) {
      const at::Tensor x = seeded({2, 3, 2 * dim}, 1, type);
      expect_near(gated_activation(x, Activation::kGelu),
                  gated_activation_ref(x, Activation::kGelu), name(type, type, dim));
    }
  }
}

TEST(Linear, PackedOrNot_MatchesReference) {
  for (const auto type : kTypes) {
    for (const Activation form : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh}) {
      const at::Tensor x = seeded({2, 5, 48}, 1, type), weight = seeded({40, 48}, 2, type) / 7;
      const at::Tensor bias = seeded({40}, 3, type);
      const at::Tensor wanted = linear_ref(x, weight, bias, form);
      expect_near(linear(x, weight, bias, form), wanted, "as it is");
      expect_near(linear(x, prepare_weight(weight, WeightForm::kPacked), bias, form), wanted,
                  "packed");
      expect_near(linear(x, prepare_weight(weight, WeightForm::kPacked), {}, form),
                  linear_ref(x, weight, {}, form), "packed, no bias");
    }
  }
}

// Against the numbers that the quantised weight stands for; what is left is the rounding of x to 8
// bits.
TEST(Linear, Int8_MatchesItsDequantisedWeight) {
  if (!has_int8_products()) GTEST_SKIP() << "needs AVX-512 VNNI";
  for (const auto type : kTypes) {
    for (const Activation form : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh}) {
      const at::Tensor x = seeded({2, 5, 100}, 1, type), weight = seeded({37, 100}, 2, type) / 7;
      const at::Tensor bias = seeded({37}, 3, type);
      const at::Tensor int8 = prepare_weight(weight, WeightForm::kInt8);
      const at::Tensor meant = int8.dequantize().to(type);
      EXPECT_LE(relative_error(meant, weight), 0.5 / 127 + 8e-3);
      EXPECT_LE(relative_error(linear(x, int8, bias, form), linear_ref(x, meant, bias, form)),
                1.5e-2);
      EXPECT_LE(relative_error(linear(x, int8, {}, form), linear_ref(x, meant, {}, form)), 1.5e-2);
    }
  }
}

TEST(Linear, Int8RowOfZeros_GivesTheBias) {
  const at::Tensor bias = seeded({4}, 1);
  const at::Tensor int8 = prepare_weight(seeded({4, 8}, 2), WeightForm::kInt8);
  EXPECT_TRUE(at::equal(linear(at::zeros({1, 3, 8}), int8, bias, Activation::kNone),
                        bias.expand({1, 3, 4})));
}

TEST(Linear, BiasOfAnyShape_IsAddedAsPlainLinearDoes) {
  const at::Tensor x = seeded({2, 5, 48}, 1, at::kBFloat16),
                   weight = seeded({8, 48}, 2, at::kBFloat16) / 7;
  for (const auto& shape : {std::vector<std::int64_t>{1}, {}, {1, 8}, {5, 8}, {5, 1}}) {
    const at::Tensor bias = seeded(shape, 3, at::kBFloat16);
    const at::Tensor wanted = at::linear(x, weight) + bias;
    for (const WeightForm form : {WeightForm::kPacked, WeightForm::kInt8}) {
      if (form == WeightForm::kInt8 && !has_int8_products()) continue;
      const at::Tensor found = linear(x, prepare_weight(weight, form), bias, Activation::kNone);
      EXPECT_LE(relative_error(found, wanted), 3e-2) << shape.size();
    }
  }
}

// f64 has no kernel, and must not come back with the digits of f32.
TEST(Operators, DoublePrecision_IsKept) {
  const at::Tensor x = seeded({2, 5, 32}, 1, at::kDouble) / 3, gate = seeded({32}, 2) / 3;
  const at::Tensor table = seeded({1, 1, 5, 16}, 3, at::kDouble) / 3;
  const at::Tensor squares = x.square().mean(std::vector<std::int64_t>{-1}, true);
  const at::Tensor heads = x.unsqueeze(1), normed = heads / (squares.unsqueeze(1) + 1e-6).sqrt();
  const std::vector<at::Tensor> parts = at::chunk(normed, 2, -1), halves = at::chunk(x, 2, -1);
  const std::pair<at::Tensor, at::Tensor> results[] = {
      {norm_modulate(x, {}, {gate, gate}, 1e-6),
       at::layer_norm(x, {32}, {}, {}, 1e-6) * (1 + gate.to(at::kDouble)) + gate},
      {gated_add(x, x, gate), x + x * gate.to(at::kDouble)},
      {qk_norm_rope(heads, {.weight = {},
                            .eps = 1e-6,
                            .span = NormSpan::kHead,
                            .pairs = RopePairs::kHalves,
                            .cos = table,
                            .sin = table}),
       at::cat({(parts[0] - parts[1]) * table, (parts[0] + parts[1]) * table}, -1)},
      {activate(x, Activation::kGelu), at::gelu(x, "none")},
      {gated_activation(x, Activation::kGelu), halves[0] * at::gelu(halves[1], "none")}};
  for (const auto& [found, wanted] : results) {
    EXPECT_EQ(found.scalar_type(), at::kDouble);
    EXPECT_LE(relative_error(found, wanted), 1e-14);
  }
}

// A run that diverged must look so.
TEST(Operators, NaN_GoesThrough) {
  at::Tensor x = seeded({1, 2, 70, 64}, 1, at::kBFloat16);
  x[0][0][3][5] = std::nan("");
  EXPECT_TRUE(attend(x, x, x)[0][0].isnan().all().item<bool>());
  const at::Tensor rows = x[0];
  if (has_int8_products()) {
    const at::Tensor int8 = prepare_weight(seeded({8, 64}, 2), WeightForm::kInt8);
    EXPECT_TRUE(linear(rows, int8, {}, Activation::kNone)[0][3].isnan().all().item<bool>());
  }
  EXPECT_TRUE(activate(rows, Activation::kGelu)[0][3][5].isnan().item<bool>());
}

TEST(Attend, FlashForm_MatchesDoublePrecision) {
  const std::int64_t lengths[][2] = {{1, 1}, {5, 37}, {48, 64}, {49, 65}, {320, 320}, {100, 700}};
  for (const auto& [queries, keys] : lengths) {
    for (const std::int64_t dim : {64, 128}) {
      // Views with heads behind tokens, large scores.
      const auto view = [&](std::int64_t n, std::uint64_t seed) {
        return (seeded({2, n, 3, dim}, seed) * 2).to(at::kBFloat16).transpose(1, 2);
      };
      const at::Tensor q = view(queries, 1), k = view(keys, 2), v = view(keys, 3);
      if (attention_form(q, k, v) != AttentionForm::kFlash) GTEST_SKIP() << "needs AVX-512 BF16";
      const at::Tensor wanted =
          at::scaled_dot_product_attention(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble));
      const at::Tensor found = attend(q, k, v);
      EXPECT_EQ(found.sizes(), wanted.sizes());
      EXPECT_LE(relative_error(found, wanted), 1e-2) << queries << " × " << keys << ", " << dim;
    }
  }
}

TEST(Operators, NumberOfThreads_DoesNotChangeABit) {
  const int before = at::get_num_threads();
  const at::Tensor x = seeded({2, 300, 192}, 1, at::kBFloat16);
  const at::Tensor heads = x.unflatten(2, {3, 64}).transpose(1, 2);
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    return std::vector<at::Tensor>{norm_modulate(x, {}, {seeded({192}, 2), seeded({192}, 3)}, 1e-6),
                                   gated_add(x, x, seeded({192}, 4)), qk_norm_rope(heads, {}),
                                   activate(x, Activation::kGeluTanh), attend(heads, heads, heads)};
  };
  const std::vector<at::Tensor> one = run(1), three = run(3);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
  at::set_num_threads(before);
}

}  // namespace
}  // namespace bw
