// The plug-in's operators on a GPU against the references on the CPU, called as graphs call them.
#include "kernels/operators.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "kernels/activation.h"
#include "kernels/combine.h"
#include "kernels/gated_add.h"
#include "kernels/linear.h"
#include "kernels/norm_modulate.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/relative_l1_batch.h"
#include "support/gpu.h"
#include "support/tensors.h"

namespace bw {
namespace {

using Optional = std::optional<at::Tensor>;
using testing::kGpu;

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};
constexpr std::int64_t kDims[] = {1, 15, 40, 200, 1536, 5120, 12000, 12800};

template <typename Signature>
auto find(const char* name) {
  register_operators();
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 4e-6 : 8e-3; }

void expect_near(const at::Tensor& found, const at::Tensor& wanted, const std::string& what) {
  ASSERT_EQ(found.device(), kGpu) << what;
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  ASSERT_EQ(found.scalar_type(), wanted.scalar_type()) << what;
  EXPECT_LE(relative_error(found.cpu(), wanted), tolerance(wanted.scalar_type())) << what;
}

std::string name(at::ScalarType x, at::ScalarType p, std::int64_t dim) {
  return std::string(c10::toString(x)) + " with " + c10::toString(p) + ", dim " +
         std::to_string(dim);
}

class GpuOperators : public testing::GpuTest {};

TEST_F(GpuOperators, NormModulate_MatchesReference) {
  const auto op =
      find<at::Tensor(const at::Tensor&, const Optional&, const Optional&, const Optional&,
                      const Optional&, double, bool)>("bw::norm_modulate");
  for (const auto xt : kTypes) {
    for (const auto pt : kTypes) {
      for (const std::int64_t dim : kDims) {
        if (dim == 1) continue;  // all zeros
        // Rows with gaps, at an address that is no multiple of 16 for odd offsets.
        for (const std::int64_t first : {0, 1}) {
          const at::Tensor x = (seeded({2, 5, dim + 8}, 1, xt) * 3 + 1).narrow(2, first, dim);
          const at::Tensor w = seeded({dim}, 2, pt), b = seeded({dim}, 3, pt),
                           shift = seeded({2, 1, dim}, 4, pt), scale = seeded({2, 1, dim}, 5, pt);
          expect_near(op.call(x.to(kGpu), w.to(kGpu), b.to(kGpu), shift.to(kGpu), scale.to(kGpu),
                              1e-6, false),
                      norm_modulate_ref(x, {w, b}, {shift, scale}, 1e-6), name(xt, pt, dim));
          const at::Tensor whole = (seeded({2, 5, dim + 8}, 1, xt) * 3 + 1).to(kGpu);
          expect_near(op.call(whole.narrow(2, first, dim), {}, {}, {}, {}, 1e-6, false),
                      norm_modulate_ref(x, {}, {}, 1e-6), name(xt, pt, dim) + " view");
        }
      }
    }
  }
}

TEST_F(GpuOperators, GatedAdd_MatchesReference) {
  const auto op = find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, bool)>(
      "bw::gated_add");
  for (const auto xt : kTypes) {
    for (const auto pt : kTypes) {
      for (const std::int64_t dim : kDims) {
        const at::Tensor hidden = seeded({2, 5, dim}, 1, xt), output = seeded({2, 5, dim}, 2, xt),
                         gate = seeded({2, 1, dim}, 3, pt);
        expect_near(op.call(hidden.to(kGpu), output.to(kGpu), gate.to(kGpu), false),
                    gated_add_ref(hidden, output, gate), name(xt, pt, dim));
      }
    }
  }
}

TEST_F(GpuOperators, QkNormRope_MatchesReference) {
  const auto op =
      find<at::Tensor(const at::Tensor&, const Optional&, double, const Optional&, const Optional&,
                      std::int64_t, std::int64_t, bool)>("bw::qk_norm_rope");
  constexpr std::int64_t kHeads = 12, kTokens = 33;
  for (const auto xt : kTypes) {
    for (const auto pt : kTypes) {
      for (const std::int64_t dim : {6, 64, 128}) {
        for (const NormSpan span : {NormSpan::kHead, NormSpan::kRow}) {
          for (const RopePairs pairs :
               {RopePairs::kNone, RopePairs::kHalves, RopePairs::kAdjacent}) {
            const at::Tensor rows = seeded({2, kTokens, kHeads * dim}, 1, xt);
            const auto heads = [&](const at::Tensor& t) {
              return t.unflatten(2, {kHeads, dim}).transpose(1, 2);
            };
            QkNormRope how{.weight = seeded({span == NormSpan::kRow ? kHeads * dim : dim}, 2, pt),
                           .span = span,
                           .pairs = pairs,
                           .cos = {},
                           .sin = {}};
            Optional cos, sin;
            if (pairs != RopePairs::kNone) {
              how.cos = seeded({1, 1, kTokens, dim / 2}, 3, pt);
              how.sin = seeded({1, 1, kTokens, dim / 2}, 4, pt);
              cos = how.cos->to(kGpu);
              sin = how.sin->to(kGpu);
            }
            expect_near(
                op.call(heads(rows.to(kGpu)), how.weight->to(kGpu), how.eps, cos, sin,
                        static_cast<std::int64_t>(span), static_cast<std::int64_t>(pairs), false),
                qk_norm_rope_ref(heads(rows), how), name(xt, pt, dim));
          }
        }
      }
    }
  }
}

TEST_F(GpuOperators, LinearAndGatedActivation_MatchReference) {
  const auto linear_op =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const Optional&, std::int64_t)>(
          "bw::linear");
  const auto gated_op = find<at::Tensor(const at::Tensor&, std::int64_t)>("bw::gated_activation");
  for (const auto type : kTypes) {
    const at::Tensor x = seeded({2, 5, 48}, 1, type), weight = seeded({40, 48}, 2, type) / 7,
                     bias = seeded({40}, 3, type);
    for (const Activation form : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh}) {
      const auto number = static_cast<std::int64_t>(form);
      const at::Tensor found = linear_op.call(x.to(kGpu), weight.to(kGpu), bias.to(kGpu), number);
      // The product is rounded before the activation on both sides, after sums in another order.
      EXPECT_LE(relative_error(found.cpu(), linear_ref(x, weight, bias, form)),
                type == at::kFloat ? 1e-5 : 1.6e-2);
      if (form == Activation::kNone) continue;
      for (const std::int64_t dim : kDims) {
        const at::Tensor both = seeded({2, 3, 2 * dim}, 1, type);
        expect_near(gated_op.call(both.to(kGpu), number), gated_activation_ref(both, form),
                    name(type, type, dim));
      }
    }
  }
}

TEST_F(GpuOperators, Attention_MatchesDoublePrecision) {
  for (const std::int64_t tokens : {1, 77, 1024}) {
    const auto make = [&](std::uint64_t seed) {
      return seeded({2, tokens, 12, 128}, seed, at::kBFloat16).transpose(1, 2);
    };
    const at::Tensor q = make(1), k = make(2), v = make(3);
    const at::Tensor wanted =
        at::scaled_dot_product_attention(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble));
    const at::Tensor found = attention_operator(q.to(kGpu), k.to(kGpu), v.to(kGpu));
    EXPECT_LE(relative_error(found.cpu(), wanted), 1e-2) << tokens;
  }
}

TEST_F(GpuOperators, Combine_MatchesTheCpu) {
  const std::vector<double> weights = {1.75, -1.5, 0.75, 1};
  for (const auto type : kTypes) {
    for (const std::int64_t size : {1, 7, 2048, 1'000'003}) {
      std::vector<at::Tensor> here, there;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        here.push_back(seeded({size}, i, type));
        there.push_back(here.back().to(kGpu));
      }
      expect_near(combine(there, weights), combine(here, weights), name(type, type, size));
    }
  }
}

TEST_F(GpuOperators, RelativeL1_MatchesReferenceAndRepeatsBitForBit) {
  RelativeL1Batch batch;
  std::vector<RelativeL1Sums> wanted;
  for (const auto type : kTypes) {
    for (const std::int64_t size : {1, 9, 16383, 16384, 49229, 5'000'007}) {
      const at::Tensor b = seeded({size + 1}, 1, type), a = b + seeded({size + 1}, 2, type) / 50;
      const at::Tensor x = a.to(kGpu), y = b.to(kGpu);
      for (const std::int64_t first : {0, 1}) {  // 1: no multiple of 16 bytes
        for (int round = 0; round < 2; ++round) {
          (void)batch.add(x.narrow(0, first, size), y.narrow(0, first, size));
        }
        wanted.push_back(relative_l1_sums_ref(a.narrow(0, first, size), b.narrow(0, first, size)));
      }
    }
  }
  batch.send();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const RelativeL1Sums one = batch.sums(2 * i), two = batch.sums(2 * i + 1);
    EXPECT_EQ(one.difference, two.difference) << i;
    EXPECT_EQ(one.reference, two.reference) << i;
    EXPECT_NEAR(one.difference, wanted[i].difference, 1e-5 * wanted[i].difference) << i;
    EXPECT_NEAR(one.reference, wanted[i].reference, 1e-5 * wanted[i].reference) << i;
  }
}

TEST_F(GpuOperators, RelativeL1OfMoreRowsThanExpected_KeepsTheFirst) {
  RelativeL1Batch batch;
  const at::Tensor ones = at::ones({1000}, at::TensorOptions(kGpu));
  for (int i = 0; i < 700; ++i) (void)batch.add(ones * (i + 2), ones);
  batch.send();
  for (std::size_t i = 0; i < 700; ++i) {
    EXPECT_DOUBLE_EQ(batch.sums(i).distance(), static_cast<double>(i) + 1);
  }
}

}  // namespace
}  // namespace bw
