// What the threads of the CUDA kernels compute, run on the host, against the references in ATen:
// every type, whole loads and single elements, lengths with a remainder, rows with gaps.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/activation.h"
#include "kernels/gated_add.h"
#include "kernels/norm_modulate.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/relative_l1.h"
#include "support/cuda_on_host.h"
#include "support/tensors.h"

namespace bw::cuda {
namespace {

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};

double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-6 : 8e-3; }

void expect_near(const at::Tensor& found, const at::Tensor& wanted, const std::string& what) {
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  EXPECT_LE(relative_error(found, wanted), tolerance(wanted.scalar_type())) << what;
}

Element element(at::ScalarType dtype) {
  return dtype == at::kFloat ? Element::kFloat32 : Element::kBFloat16;
}

// run<T, N>() for the dtype, with whole loads or single elements.
template <typename Run>
void with_type(at::ScalarType dtype, bool wide, const Run& run) {
  if (dtype == at::kFloat) {
    wide ? run.template operator()<float, 4>() : run.template operator()<float, 1>();
  } else {
    wide ? run.template operator()<BFloat16, 8>() : run.template operator()<BFloat16, 1>();
  }
}
template <typename Run>
void with_types(at::ScalarType x, at::ScalarType p, bool wide, const Run& run) {
  with_type(x, wide, [&]<typename T, int N>() {
    p == at::kFloat ? run.template operator()<T, float, N>()
                    : run.template operator()<T, BFloat16, N>();
  });
}

std::string name(at::ScalarType x, at::ScalarType p, std::int64_t dim, bool wide) {
  return std::string(c10::toString(x)) + " with " + c10::toString(p) + ", dim " +
         std::to_string(dim) + (wide ? ", whole loads" : "");
}

// Tries every pair of types and both widths, where the length allows whole loads.
template <typename Try>
void for_each_form(std::initializer_list<std::int64_t> dims, const Try& attempt) {
  for (const at::ScalarType x : kTypes) {
    for (const at::ScalarType p : kTypes) {
      for (const std::int64_t dim : dims) {
        attempt(x, p, dim, false);
        if (dim % load_width(element(x), {}, {}) == 0) attempt(x, p, dim, true);
      }
    }
  }
}

TEST(CudaNormModulate, EveryForm_MatchesReference) {
  for_each_form({2, 15, 40, 200, 2056}, [](at::ScalarType xt, at::ScalarType pt, std::int64_t dim,
                                           bool wide) {
    // A view with gaps between its rows, as a slice of something wider.
    const at::Tensor x = (seeded({2, 3, dim + 8}, 1, xt) * 3 + 1).narrow(2, 0, dim);
    const at::Tensor weight = seeded({dim}, 2, pt), bias = seeded({dim}, 3, pt),
                     shift = seeded({2, 1, dim}, 4, pt), scale = seeded({1, 1, dim}, 5, pt);
    for (const bool has_affine : {false, true}) {
      const at::Tensor y = at::empty({2, 3, dim}, x.options());
      NormModulateCall call{.x = x.const_data_ptr(),
                            .y = y.mutable_data_ptr(),
                            .batch_stride = x.stride(0),
                            .row_stride = x.stride(1),
                            .rows = 3,
                            .dim = dim,
                            .shift = shift.const_data_ptr(),
                            .scale = scale.const_data_ptr(),
                            .shift_stride = dim,
                            .scale_stride = 0,
                            .eps = 1e-6F};
      Affine affine;
      if (has_affine) {
        affine = {weight, bias};
        call.weight = weight.const_data_ptr();
        call.bias = bias.const_data_ptr();
      }
      with_types(xt, pt, wide, [&]<typename T, typename P, int N>() {
        on_host::norm_modulate<T, P, N>(call, 2);
      });
      expect_near(y, norm_modulate_ref(x, affine, {shift, scale.expand({2, 1, dim})}, 1e-6),
                  name(xt, pt, dim, wide));
    }
  });
}

TEST(CudaGatedAdd, EveryForm_MatchesReference) {
  for_each_form(
      {1, 31, 200, 2064}, [](at::ScalarType xt, at::ScalarType pt, std::int64_t dim, bool wide) {
        const at::Tensor hidden = seeded({2, 3, dim}, 1, xt),
                         output = seeded({2, 3, dim + 8}, 2, xt).narrow(2, 0, dim),
                         gate = seeded({2, 1, dim}, 3, pt), y = at::empty_like(hidden);
        const GatedAddCall call{.hidden = hidden.const_data_ptr(),
                                .output = output.const_data_ptr(),
                                .gate = gate.const_data_ptr(),
                                .y = y.mutable_data_ptr(),
                                .hidden_batch_stride = hidden.stride(0),
                                .hidden_row_stride = hidden.stride(1),
                                .output_batch_stride = output.stride(0),
                                .output_row_stride = output.stride(1),
                                .gate_stride = dim,
                                .rows = 3,
                                .dim = dim};
        with_types(xt, pt, wide,
                   [&]<typename T, typename P, int N>() { on_host::gated_add<T, P, N>(call, 2); });
        expect_near(y, gated_add_ref(hidden, output, gate), name(xt, pt, dim, wide));
      });
}

void try_rope(at::ScalarType xt, at::ScalarType pt, std::int64_t dim, bool wide,
              const QkNormRope& form, bool tables_per_entry) {
  constexpr std::int64_t kHeads = 3, kTokens = 4;
  // A view of [B,N,heads·D], as a projection gives it.
  const at::Tensor x =
      seeded({2, kTokens, kHeads * dim}, 1, xt).unflatten(2, {kHeads, dim}).transpose(1, 2);
  QkNormRope how = form;
  how.weight = seeded({how.span == NormSpan::kRow ? kHeads * dim : dim}, 2, pt);
  const at::Tensor y = at::empty({2, kHeads, kTokens, dim}, x.options());
  QkNormRopeCall call{.x = x.const_data_ptr(),
                      .y = y.mutable_data_ptr(),
                      .batch_stride = x.stride(0),
                      .head_stride = x.stride(1),
                      .token_stride = x.stride(2),
                      .heads = kHeads,
                      .tokens = kTokens,
                      .dim = dim,
                      .weight = how.weight->const_data_ptr(),
                      .norm_over_row = how.span == NormSpan::kRow,
                      .adjacent = how.pairs == RopePairs::kAdjacent,
                      .eps = 1e-6F};
  if (how.pairs != RopePairs::kNone) {
    const std::int64_t entries = tables_per_entry ? 2 : 1;
    how.cos = seeded({entries, 1, kTokens, dim / 2}, 3, pt);
    how.sin = seeded({entries, 1, kTokens, dim / 2}, 4, pt);
    call.cos = how.cos->const_data_ptr();
    call.sin = how.sin->const_data_ptr();
    call.table_stride = tables_per_entry ? kTokens * (dim / 2) : 0;
  }
  with_types(xt, pt, wide,
             [&]<typename T, typename P, int N>() { on_host::qk_norm_rope<T, P, N>(call, 2); });
  expect_near(y, qk_norm_rope_ref(x, how), name(xt, pt, dim, wide));
}

TEST(CudaQkNormRope, EveryForm_MatchesReference) {
  for_each_form({6, 64, 128}, [](at::ScalarType xt, at::ScalarType pt, std::int64_t dim,
                                 bool wide) {
    for (const NormSpan span : {NormSpan::kHead, NormSpan::kRow}) {
      for (const RopePairs pairs : {RopePairs::kNone, RopePairs::kHalves, RopePairs::kAdjacent}) {
        for (const bool per_entry : {false, true}) {
          try_rope(xt, pt, dim, wide,
                   {.weight = {}, .span = span, .pairs = pairs, .cos = {}, .sin = {}}, per_entry);
        }
      }
    }
  });
}

TEST(CudaActivate, BothForms_MatchReferenceOverTheirRange) {
  for (const at::ScalarType dtype : kTypes) {
    const at::Tensor x = at::linspace(-30, 30, 4099).to(dtype), y = at::empty_like(x);
    for (const bool wide : {false, true}) {
      for (const Activation form : {Activation::kGelu, Activation::kGeluTanh}) {
        const ActivateCall call{.x = x.const_data_ptr(),
                                .y = y.mutable_data_ptr(),
                                .size = x.numel(),
                                .dim = 0,
                                .tanh_form = form == Activation::kGeluTanh};
        with_type(dtype, wide, [&]<typename T, int N>() { on_host::activate<T, N>(call); });
        expect_near(y, activate_ref(x, form), name(dtype, dtype, 4099, wide));
      }
    }
  }
}

TEST(CudaGatedActivation, EverySize_MatchesReference) {
  for_each_form({1, 31, 200, 2064}, [](at::ScalarType xt, at::ScalarType /*pt*/, std::int64_t dim,
                                       bool wide) {
    const at::Tensor x = seeded({2, 3, 2 * dim}, 1, xt), y = at::empty({2, 3, dim}, x.options());
    const ActivateCall call{.x = x.const_data_ptr(),
                            .y = y.mutable_data_ptr(),
                            .size = y.numel(),
                            .dim = dim,
                            .tanh_form = true};
    with_type(xt, wide, [&]<typename T, int N>() { on_host::gated_activation<T, N>(call, 6); });
    expect_near(y, gated_activation_ref(x, Activation::kGeluTanh), name(xt, xt, dim, wide));
  });
}

TEST(CudaCombine, EverySize_MatchesReference) {
  const std::vector<double> weights = {1.75, -1.5, 0.75, 1};
  for (const at::ScalarType dtype : kTypes) {
    for (const std::int64_t size : {1, 7, 2048, 2053}) {
      for (const bool wide : {false, true}) {
        const at::Tensor y = at::empty({size}, at::TensorOptions(dtype));
        std::vector<at::Tensor> values;
        CombineCall call;
        for (std::size_t i = 0; i < weights.size(); ++i) {
          values.push_back(seeded({size}, i, dtype));
          call.values[i] = values[i].const_data_ptr();
          call.weights[i] = static_cast<float>(weights[i]);
        }
        call.num_terms = static_cast<int>(weights.size());
        call.y = y.mutable_data_ptr();
        call.size = size;
        with_type(dtype, wide, [&]<typename T, int N>() { on_host::combine<T, N>(call); });
        at::Tensor wanted = values[0].to(at::kDouble) * weights[0];
        for (std::size_t i = 1; i < weights.size(); ++i) {
          wanted.add_(values[i].to(at::kDouble), weights[i]);
        }
        expect_near(y, wanted.to(dtype), name(dtype, dtype, size, wide));
      }
    }
  }
}

TEST(CudaDistance, EverySize_MatchesReference) {
  for (const at::ScalarType dtype : kTypes) {
    for (const std::int64_t size : {std::int64_t{1}, std::int64_t{9}, kDistanceChunk - 1,
                                    kDistanceChunk, 3 * kDistanceChunk + 77}) {
      const at::Tensor b = seeded({size}, 1, dtype);
      const at::Tensor a = (b.to(at::kFloat) + seeded({size}, 2) / 50).to(dtype);
      const RelativeL1Sums wanted = relative_l1_sums_ref(a, b);
      for (const bool wide : {false, true}) {
        with_type(dtype, wide, [&]<typename T, int N>() {
          const auto [difference, reference] = on_host::distance<T, N>(
              {.a = a.const_data_ptr(), .b = b.const_data_ptr(), .size = size});
          // A thread adds 64 numbers in f32, its block 256 of those.
          EXPECT_NEAR(difference, wanted.difference, 1e-5 * wanted.difference) << size;
          EXPECT_NEAR(reference, wanted.reference, 1e-5 * wanted.reference) << size;
        });
      }
    }
  }
}

TEST(CudaBFloat16, EveryKindOfNumber_RoundsAsAtenDoes) {
  const at::Tensor x =
      at::cat({seeded({4001}, 1) * 1e3, seeded({4001}, 2) * 1e-39,
               at::tensor({0.F, -0.F, 1.00390625F, 1.01171875F, 3.4e38F, INFINITY, -INFINITY})});
  const at::Tensor wanted = x.to(at::kBFloat16);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    BFloat16 found{};
    from_float(x[i].item<float>(), found);
    EXPECT_EQ(found.bits, static_cast<const std::uint16_t*>(wanted.const_data_ptr())[i])
        << x[i].item<float>();
  }
  BFloat16 nan{};
  from_float(NAN, nan);
  EXPECT_TRUE(std::isnan(to_float(nan)));
}

}  // namespace
}  // namespace bw::cuda
