// Every kernel of the table in simd.h, at every instruction set that this processor has, against
// references written in f64: lengths around the sixteen lanes, rows with gaps, parts of a range.
#include "kernels/simd.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "support/tensors.h"

namespace bw {
namespace {

constexpr const char* kLevels[] = {"base", "avx2", "avx512"};
constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};
constexpr std::int64_t kDims[] = {2, 14, 16, 18, 32, 62, 150, 192};

Element element(at::ScalarType type) {
  return type == at::kFloat ? Element::kFloat32 : Element::kBFloat16;
}

// What a kernel made, what it should have made in f64, and how far apart they may be: max|a − b| /
// max|b|.
struct Outcome {
  std::string what;
  at::Tensor found;
  at::Tensor wanted;
  double tolerance = 0;
};

struct Types {
  at::ScalarType x;
  at::ScalarType p;

  // One rounding of the result, and what f32 loses in a sum over a row.
  [[nodiscard]] double tolerance() const { return x == at::kFloat ? 2e-6 : 4e-3; }
  [[nodiscard]] std::string name(std::int64_t dim) const {
    return std::string(c10::toString(x)) + " with " + c10::toString(p) + ", dim " +
           std::to_string(dim);
  }
};

using Try = std::function<Outcome(const SimdKernels&, const Types&, std::int64_t dim)>;

struct KernelCase {
  const char* name;
  Try attempt;
};

at::Tensor f64(const at::Tensor& x) { return x.to(at::kDouble); }

// Rows [5,dim] of something wider, so that they have gaps.
constexpr std::int64_t kRows = 5;
at::Tensor rows_with_gaps(std::int64_t dim, std::uint64_t seed, at::ScalarType type) {
  return seeded({kRows, dim + 3}, seed, type).narrow(1, 1, dim);
}

// In two calls, as threads share a range.
template <typename Call>
void in_parts(std::int64_t count, const Call& call) {
  call(std::int64_t{0}, count / 2);
  call(count / 2, count);
}

Outcome norm(const SimdKernels& kernels, const Types& t, std::int64_t dim, bool full) {
  const at::Tensor x = rows_with_gaps(dim, 1, t.x) * 3 + 1;
  const at::Tensor gaps = at::empty({kRows, dim + 5}, x.options()).narrow(1, 2, dim).copy_(x);
  const at::Tensor weight = seeded({dim}, 2, t.p), bias = seeded({dim}, 3, t.p),
                   shift = seeded({dim}, 4, t.p), scale = seeded({dim}, 5, t.p);
  const at::Tensor y = at::empty({kRows, dim}, x.options());
  NormModulateRows call{.x = gaps.const_data_ptr(),
                        .y = y.mutable_data_ptr(),
                        .stride = gaps.stride(0),
                        .dim = dim,
                        .eps = 1e-6F};
  at::Tensor wanted = at::layer_norm(f64(gaps), {dim}, {}, {}, 1e-6);
  if (full) {
    call.weight = weight.const_data_ptr();
    call.bias = bias.const_data_ptr();
    call.shift = shift.const_data_ptr();
    call.scale = scale.const_data_ptr();
    wanted = (wanted * f64(weight) + f64(bias)) * (1 + f64(scale)) + f64(shift);
  }
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.norm_modulate(call, element(t.x), element(t.p), begin, end);
  });
  return {t.name(dim) + (full ? ", all parameters" : ""), y, wanted, t.tolerance()};
}

Outcome add(const SimdKernels& kernels, const Types& t, std::int64_t dim) {
  const at::Tensor hidden = rows_with_gaps(dim, 1, t.x), output = rows_with_gaps(dim, 2, t.x),
                   gate = seeded({dim}, 3, t.p), y = at::empty({kRows, dim}, hidden.options());
  const GatedAddRows call{.hidden = hidden.const_data_ptr(),
                          .output = output.const_data_ptr(),
                          .gate = gate.const_data_ptr(),
                          .y = y.mutable_data_ptr(),
                          .hidden_stride = hidden.stride(0),
                          .output_stride = output.stride(0),
                          .dim = dim};
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.gated_add(call, element(t.x), element(t.p), begin, end);
  });
  return {t.name(dim), y, f64(hidden) + f64(output) * f64(gate), t.tolerance()};
}

enum class Pairs { kNone, kHalves, kAdjacent };

// (a, b) → (a·cos − b·sin, a·sin + b·cos) of x [heads,tokens,dim], pair by pair.
at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, Pairs pairs) {
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor y = at::empty_like(x);
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t first = pairs == Pairs::kAdjacent ? 2 * i : i;
    const std::int64_t second = pairs == Pairs::kAdjacent ? 2 * i + 1 : i + half;
    const at::Tensor a = x.select(2, first), b = x.select(2, second);
    const at::Tensor c = cos.select(1, i), s = sin.select(1, i);
    y.select(2, first).copy_(a * c - b * s);
    y.select(2, second).copy_(a * s + b * c);
  }
  return y;
}

Outcome rope(const SimdKernels& kernels, const Types& t, std::int64_t dim, Pairs pairs,
             bool over_row) {
  constexpr std::int64_t kHeads = 3;
  // [heads,tokens,dim] as a view of tokens with all heads and more.
  const at::Tensor x = seeded({kRows, 2 * kHeads * dim}, 1, t.x)
                           .narrow(1, kHeads * dim, kHeads * dim)
                           .unflatten(1, {kHeads, dim})
                           .transpose(0, 1);
  const at::Tensor weight = seeded({over_row ? kHeads * dim : dim}, 2, t.p);
  const at::Tensor cos = seeded({kRows, dim / 2}, 3, t.p), sin = seeded({kRows, dim / 2}, 4, t.p);
  const at::Tensor y = at::empty({kHeads, kRows, dim}, x.options());
  QkNormRopeTokens call{.x = x.const_data_ptr(),
                        .y = y.mutable_data_ptr(),
                        .head_stride = x.stride(0),
                        .token_stride = x.stride(1),
                        .heads = kHeads,
                        .tokens = kRows,
                        .dim = dim,
                        .weight = weight.const_data_ptr(),
                        .norm_over_row = over_row,
                        .adjacent = pairs == Pairs::kAdjacent,
                        .eps = 1e-6F};
  const at::Tensor squares = over_row ? f64(x).square().mean(std::vector<std::int64_t>{0, 2}, true)
                                      : f64(x).square().mean(std::vector<std::int64_t>{2}, true);
  at::Tensor wanted = f64(x) / (squares + 1e-6).sqrt();
  wanted = wanted * (over_row ? f64(weight).view({kHeads, 1, dim}) : f64(weight));
  if (pairs != Pairs::kNone) {
    call.cos = cos.const_data_ptr();
    call.sin = sin.const_data_ptr();
    wanted = rotated(wanted, f64(cos), f64(sin), pairs);
  }
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.qk_norm_rope(call, element(t.x), element(t.p), begin, end);
  });
  return {t.name(dim) + ", form " + std::to_string(static_cast<int>(pairs)) +
              (over_row ? " over rows" : ""),
          y, wanted, t.tolerance()};
}

Outcome gelu(const SimdKernels& kernels, const Types& t, std::int64_t dim, bool tanh_form) {
  const at::Tensor x = at::cat({at::linspace(-40, 40, dim), seeded({kRows * dim}, 1)}).to(t.x);
  const at::Tensor y = at::empty_like(x);
  const ActivateRange call{
      .x = x.const_data_ptr(), .y = y.mutable_data_ptr(), .tanh_form = tanh_form, .gated_dim = 0};
  in_parts(x.numel(), [&](std::int64_t begin, std::int64_t end) {
    kernels.activate(call, element(t.x), begin, end);
  });
  return {t.name(dim), y, at::gelu(f64(x), tanh_form ? "tanh" : "none"), t.tolerance()};
}

Outcome gated_gelu(const SimdKernels& kernels, const Types& t, std::int64_t dim, bool tanh_form) {
  const at::Tensor x = seeded({kRows, 2 * dim}, 1, t.x) * 2,
                   y = at::empty({kRows, dim}, x.options());
  const ActivateRange call{
      .x = x.const_data_ptr(), .y = y.mutable_data_ptr(), .tanh_form = tanh_form, .gated_dim = dim};
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.activate(call, element(t.x), begin, end);
  });
  const std::vector<at::Tensor> halves = at::chunk(f64(x), 2, 1);
  return {t.name(dim), y, halves[0] * at::gelu(halves[1], tanh_form ? "tanh" : "none"),
          t.tolerance()};
}

// The numbers that the int8 values and scales stand for: each within half a step of its own row,
// so the error is taken in steps.
Outcome quantize(const SimdKernels& kernels, const Types& t, std::int64_t dim) {
  const at::Tensor sizes = at::tensor({1.0, 100.0, 1e-3, 0.0, 7.0}).unsqueeze(1);
  const at::Tensor x = (seeded({kRows, dim}, 1) * sizes).to(t.x);
  const at::Tensor q = at::empty({kRows, dim}, at::kChar), scales = at::empty({kRows}, at::kFloat);
  const QuantizeRows call{.x = x.const_data_ptr(),
                          .q = q.mutable_data_ptr<std::int8_t>(),
                          .scales = scales.mutable_data_ptr<float>(),
                          .dim = dim};
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.quantize(call, element(t.x), begin, end);
  });
  const at::Tensor step = (f64(x).abs().amax(1, true) / 127).clamp_min(1e-30);
  const at::Tensor meant = f64(q) * f64(scales).unsqueeze(1) / step;
  // Half a step of 127, relative to the largest value; the factor 1.001 is f32's rounding.
  return {t.name(dim), meant, f64(x) / step, 1.001 * 0.5 / 127};
}

Outcome dequantize(const SimdKernels& kernels, const Types& t, std::int64_t dim, bool full) {
  const at::Tensor sums = (seeded({kRows, dim}, 1) * 3e4).to(at::kInt),
                   row_scales = seeded({kRows}, 2).abs() * 1e-2,
                   column_scales = seeded({dim}, 3).abs() * 1e-2, bias = seeded({dim}, 4, t.x);
  const at::Tensor y = at::empty({kRows, dim}, t.x);
  const DequantizeRows call{.sums = sums.const_data_ptr<std::int32_t>(),
                            .y = y.mutable_data_ptr(),
                            .row_scales = row_scales.const_data_ptr<float>(),
                            .column_scales = column_scales.const_data_ptr<float>(),
                            .bias = full ? bias.const_data_ptr() : nullptr,
                            .dim = dim,
                            .activate = full,
                            .tanh_form = full};
  in_parts(kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels.dequantize(call, element(t.x), begin, end);
  });
  at::Tensor wanted = f64(sums) * f64(column_scales) * f64(row_scales).unsqueeze(1);
  if (full) wanted = at::gelu(wanted + f64(bias), "tanh");
  return {t.name(dim) + (full ? ", bias and GELU" : ""), y, wanted, t.tolerance()};
}

std::vector<KernelCase> kernel_cases() {
  std::vector<KernelCase> cases = {{"gated_add", add}, {"quantize", quantize}};
  for (const bool full : {false, true}) {
    using namespace std::placeholders;
    cases.push_back({"norm_modulate", std::bind(norm, _1, _2, _3, full)});
    cases.push_back({"activate", std::bind(gelu, _1, _2, _3, full)});
    cases.push_back({"activate, gated", std::bind(gated_gelu, _1, _2, _3, full)});
    cases.push_back({"dequantize", std::bind(dequantize, _1, _2, _3, full)});
    for (const Pairs pairs : {Pairs::kNone, Pairs::kHalves, Pairs::kAdjacent}) {
      cases.push_back({"qk_norm_rope", std::bind(rope, _1, _2, _3, pairs, full)});
    }
  }
  return cases;
}

class SimdLevel : public ::testing::TestWithParam<const char*> {};

TEST_P(SimdLevel, EveryKernel_MatchesItsReference) {
  const SimdKernels* kernels = find_simd_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  for (const KernelCase& kernel : kernel_cases()) {
    for (const at::ScalarType x : kTypes) {
      for (const at::ScalarType p : kTypes) {
        for (const std::int64_t dim : kDims) {
          const Outcome outcome = kernel.attempt(*kernels, {x, p}, dim);
          ASSERT_EQ(outcome.found.sizes(), outcome.wanted.sizes());
          EXPECT_LE(relative_error(outcome.found, outcome.wanted), outcome.tolerance)
              << kernel.name << ": " << outcome.what;
        }
      }
    }
  }
}

// A run that diverged must look so, and a row's other numbers must not hide it.
TEST_P(SimdLevel, NaN_GoesThrough) {
  const SimdKernels* kernels = find_simd_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  at::Tensor x = seeded({2, 20}, 1);
  x[1][17] = std::nan("");
  const at::Tensor q = at::empty({2, 20}, at::kChar), scales = at::empty({2});
  kernels->quantize({.x = x.const_data_ptr(),
                     .q = q.mutable_data_ptr<std::int8_t>(),
                     .scales = scales.mutable_data_ptr<float>(),
                     .dim = 20},
                    Element::kFloat32, 0, 2);
  EXPECT_FALSE(scales[0].isnan().item<bool>());
  EXPECT_TRUE(scales[1].isnan().item<bool>());
  const at::Tensor y = at::empty_like(x);
  kernels->activate({.x = x.const_data_ptr(), .y = y.mutable_data_ptr()}, Element::kFloat32, 0, 40);
  EXPECT_TRUE(at::equal(y.isnan(), x.isnan()));
}

INSTANTIATE_TEST_SUITE_P(Levels, SimdLevel, ::testing::ValuesIn(kLevels),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(SimdKernels, UnknownName_IsNull) { EXPECT_EQ(find_simd_kernels("neon"), nullptr); }

TEST(SimdKernels, Best_IsOneOfTheNamed) {
  EXPECT_EQ(find_simd_kernels(simd_kernels().name), &simd_kernels());
}

}  // namespace
}  // namespace bw
