// Every form of every fused operator: a graph that has it is rewritten and gives the same numbers;
// one that only resembles it stays as it is.
#include "torchscript/rewrite.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "kernels/linear.h"
#include "support/tensors.h"
#include "torchscript/archive.h"

namespace bw {
namespace {

using Tensors = std::vector<at::Tensor>;

torch::jit::Module module_of(const std::string& source) {
  set_up_executor();
  torch::jit::Module module("test");
  module.define(source);
  return module;
}

at::Tensor run(torch::jit::Module& module, const Tensors& arguments) {
  return module.forward({arguments.begin(), arguments.end()}).toTensor();
}

struct Form {
  const char* name;
  const char* op;  // the operator that must stand in the graph afterwards
  const char* source;
  Tensors arguments;
};

std::ostream& operator<<(std::ostream& out, const Form& form) { return out << form.name; }

constexpr const char* kNormModulate = R"(
def forward(self, x, scale, shift):
    return torch.layer_norm(x, [x.size(2)]) * (scale + 1) + shift
)";

constexpr const char* kWideNormModulate = R"(
def forward(self, x, scale, shift):
    wide = x.to(6)
    y = torch.layer_norm(wide.to(6), [32], None, None, 1e-6).to(6) * (scale + 1) + shift
    return y.type_as(x)
)";

constexpr const char* kNorm = R"(
def forward(self, x, weight, bias):
    return torch.layer_norm(x.to(6), [32], weight.to(6), bias.to(6), 1e-6).type_as(x)
)";

constexpr const char* kGatedAdd = R"(
def forward(self, hidden, output, gate):
    return hidden + gate * output
)";

constexpr const char* kWideGatedAdd = R"(
def forward(self, hidden, output, gate):
    return (hidden.to(6) + output.to(6) * gate).type_as(hidden)
)";

constexpr const char* kHalves = R"(
def forward(self, q, weight, cos, sin):
    x = q.unflatten(-1, [4, -1]).transpose(1, 2)
    r = torch.rsqrt(torch.mean(x.to(6).pow(2), [-1], True) + 1e-6).to(x.dtype)
    a, b = torch.chunk(x * r * weight, 2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
)";

constexpr const char* kUncastHalves = R"(
def forward(self, q, weight, cos, sin):
    x = q.unflatten(-1, [4, -1]).transpose(1, 2)
    a, b = torch.chunk(x * torch.rsqrt(torch.mean(x.pow(2), [-1], True) + 1e-6) * weight, 2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
)";

constexpr const char* kNeighbours = R"(
def forward(self, q, weight, cos, sin):
    x = torch.rms_norm(q, [32], weight, 1e-6).unflatten(2, [4, -1]).transpose(1, 2)
    a, b = x.unflatten(-1, [-1, 2]).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2, -1).type_as(x)
)";

constexpr const char* kRow = R"(
def forward(self, q, weight):
    return torch.rms_norm(q, [32], weight, 1e-6).unflatten(2, [4, -1]).transpose(1, 2)
)";

constexpr const char* kGelu = R"(
def forward(self, x, weight, bias):
    h = torch.linear(x, weight, bias)
    return torch.dropout(torch.gelu(h, approximate="tanh"), 0.1, False)
)";

constexpr const char* kGeglu = R"(
def forward(self, x):
    value, gate = torch.chunk(x, 2, -1)
    return value * torch.gelu(gate, approximate="none")
)";

constexpr const char* kSdpa = R"(
def forward(self, q, k, v):
    return torch.scaled_dot_product_attention(q, k, v)
)";

std::vector<Form> forms() {
  const at::Tensor x = seeded({2, 5, 32}, 1, at::kBFloat16);
  const auto row = [](std::uint64_t seed, at::ScalarType type) {
    return seeded({2, 1, 32}, seed, type);
  };
  const at::Tensor weight = seeded({32}, 3, at::kBFloat16);
  const at::Tensor table = seeded({1, 1, 5, 4}, 4);
  const at::Tensor table16 = table.to(at::kBFloat16);
  return {
      {"modulated in the run's dtype",
       "norm_modulate",
       kNormModulate,
       {x, row(2, at::kBFloat16), row(3, at::kBFloat16)}},
      {"modulated in a wider dtype, which the result has",
       "norm_modulate",
       kNormModulate,
       {x, row(2, at::kFloat), row(3, at::kFloat)}},
      {"modulated in float32",
       "norm_modulate",
       kWideNormModulate,
       {x, row(2, at::kFloat), row(3, at::kFloat)}},
      {"a scale of every token",
       "norm_modulate",
       kWideNormModulate,
       {x, seeded({2, 5, 32}, 2), seeded({2, 5, 32}, 3)}},
      {"affine in float32", "norm_modulate", kNorm, {x, weight, weight}},
      {"plain sum", "gated_add", kGatedAdd, {x, x, row(2, at::kBFloat16)}},
      {"plain sum with a wider gate", "gated_add", kGatedAdd, {x, x, row(2, at::kFloat)}},
      {"sum in float32", "gated_add", kWideGatedAdd, {x, x, row(2, at::kFloat)}},
      {"a number as a gate",
       "gated_add",
       kGatedAdd,
       {x, x, at::scalar_tensor(0.044715, at::kDouble)}},
      {"gates of other shapes", "gated_add", kGatedAdd, {x, x, seeded({2, 5, 1}, 2)}},
      {"over heads, halves, without casts",
       "qk_norm_rope",
       kUncastHalves,
       {x, seeded({8}, 3, at::kBFloat16), table16, table16}},
      {"over heads, halves",
       "qk_norm_rope",
       kHalves,
       {x, seeded({8}, 3, at::kBFloat16), table16, table16}},
      {"over heads, halves, float32 tables",
       "qk_norm_rope",
       kHalves,
       {x, seeded({8}, 3, at::kBFloat16), table, table}},
      {"over rows, neighbours", "qk_norm_rope", kNeighbours, {x, weight, table, table}},
      {"over rows, not rotated", "qk_norm_rope", kRow, {x, weight}},
      {"linear with GELU",
       "linear",
       kGelu,
       {x, seeded({16, 32}, 5, at::kBFloat16), seeded({16}, 6, at::kBFloat16)}},
      {"GEGLU", "gated_activation", kGeglu, {x}},
      {"attention", "attention", kSdpa, Tensors(3, seeded({1, 2, 7, 64}, 7, at::kBFloat16))},
  };
}

class EveryForm : public ::testing::TestWithParam<Form> {};

TEST_P(EveryForm, IsRewritten_AndGivesTheSame) {
  const Form& form = GetParam();
  for (const bool in_f32 : {false, true}) {
    Tensors arguments = form.arguments;
    for (at::Tensor& argument : arguments) {
      if (in_f32 && argument.dim() > 0) argument = argument.to(at::kFloat);
    }
    torch::jit::Module stock = module_of(form.source);
    torch::jit::Module fused = module_of(form.source);
    const RewriteCounts counts = rewrite_graphs(fused);
    EXPECT_EQ(counts.at(form.op), 1) << fused.get_method("forward").graph()->toString();
    const at::Tensor wanted = run(stock, arguments), found = run(fused, arguments);
    EXPECT_EQ(found.sizes(), wanted.sizes());
    EXPECT_EQ(found.scalar_type(), wanted.scalar_type());
    // The stock graph rounds to bf16 after every operator.
    EXPECT_LE(relative_error(found, wanted), in_f32 ? 2e-6 : 2e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(Rewrites, EveryForm, ::testing::ValuesIn(forms()),
                         [](const auto& instance) {
                           return "form" + std::to_string(instance.index);
                         });

// One thing each is not as the pattern has it.
TEST(RewriteGraphs, WhatOnlyResemblesAForm_StaysAsItIs) {
  const char* sources[] = {
      "def forward(self, x, scale, shift):\n"
      "    return torch.layer_norm(x, [5, 32]) * (scale + 1) + shift\n",  // over two axes
      "def forward(self, hidden, output, gate):\n"
      "    return torch.add(hidden, gate * output, alpha=2)\n",
      "def forward(self, q, k, v):\n"
      "    return torch.scaled_dot_product_attention(q, k, v, is_causal=True)\n",
      "def forward(self, x):\n"
      "    a, b, c = torch.chunk(x, 3, -1)\n"
      "    return a * torch.gelu(b)\n",
      "def forward(self, x, w):\n"  // over channels
      "    return x * torch.rsqrt(torch.mean(x.pow(2), [1], True) + 1e-6) * w\n",
      "def forward(self, x):\n"  // a number in place of a tensor
      "    return x + x.size(1) * x.size(2)\n",
      "def forward(self, q, w):\n"
      "    return torch.rms_norm(q, [32], w).unflatten(2, [4, -1]).transpose(1, 2)\n",  // the
                                                                                        // dtype's
                                                                                        // eps
  };
  for (const char* source : sources) {
    const torch::jit::Module module = module_of(source);
    for (const auto& [op, count] : rewrite_graphs(module)) EXPECT_EQ(count, 0) << op << source;
  }
}

// scale + 2 is no modulation, but the norm in it is one of the forms.
TEST(RewriteGraphs, PartOfALongerForm_IsRewrittenByItself) {
  torch::jit::Module module = module_of(
      "def forward(self, x, scale, shift):\n"
      "    return torch.layer_norm(x, [32]) * (scale + 2) + shift\n");
  EXPECT_EQ(rewrite_graphs(module).at("norm_modulate"), 1);
  const at::Tensor x = seeded({2, 5, 32}, 1), scale = seeded({2, 1, 32}, 2);
  const at::Tensor wanted = at::layer_norm(x, {32}) * (scale + 2) + scale;
  EXPECT_LE(relative_error(run(module, {x, scale, scale}), wanted), 2e-6);
}

// A rewrite moves where a tensor is read; nothing may write to it meanwhile.
TEST(RewriteGraphs, MethodThatChangesTensors_StaysAsItIs) {
  const char* sources[] = {
      "def forward(self, h, o, g):\n"
      "    out = torch.zeros_like(h)\n"
      "    out.copy_(h)\n"
      "    return out + g * o\n",
      "def forward(self, h, o, g):\n"
      "    t = torch.layer_norm(h, [32]) * (g + 1)\n"
      "    n = t + o\n"
      "    t.add_(5)\n"
      "    return n + t\n",
  };
  const Tensors arguments = {seeded({2, 5, 32}, 1), seeded({2, 5, 32}, 2), seeded({2, 1, 32}, 3)};
  for (const char* source : sources) {
    torch::jit::Module stock = module_of(source), fused = module_of(source);
    rewrite_graphs(fused);
    EXPECT_TRUE(at::equal(run(fused, arguments), run(stock, arguments))) << source;
  }
}

// A norm written out over tokens [B,N,D], the commonest there is.
TEST(RewriteGraphs, HeadNormOfAnyRank_GivesTheSame) {
  const char* source =
      "def forward(self, x, w):\n"
      "    return x * torch.rsqrt(torch.mean(x.pow(2), [-1], True) + 1e-6) * w\n";
  for (const auto& sizes : {std::vector<std::int64_t>{2, 5, 32}, {32}, {2, 3, 2, 5, 32}}) {
    torch::jit::Module stock = module_of(source), fused = module_of(source);
    EXPECT_EQ(rewrite_graphs(fused).at("qk_norm_rope"), 1);
    const Tensors arguments = {seeded(sizes, 1), seeded({32}, 2)};
    EXPECT_LE(relative_error(run(fused, arguments), run(stock, arguments)), 2e-6);
  }
}

TEST(RewriteGraphs, WeightPerHead_GivesTheSame) {
  const char* source =
      "def forward(self, x, w):\n"
      "    return x * torch.rsqrt(torch.mean(x.pow(2), [-1], True) + 1e-6) * w\n";
  torch::jit::Module stock = module_of(source), fused = module_of(source);
  rewrite_graphs(fused);
  const Tensors arguments = {seeded({1, 8, 5, 8}, 1), seeded({8, 1, 1}, 2)};
  EXPECT_LE(relative_error(run(fused, arguments), run(stock, arguments)), 2e-6);
}

// Casts that copy, and a mean in another type, do something.
TEST(RewriteGraphs, CastsThatMatter_Stay) {
  const char* sources[] = {
      "def forward(self, x):\n"
      "    return torch.mean(x.to(6), [-1], True, dtype=7).to(6)\n",
      "def forward(self, x):\n"
      "    a = x.to(6)\n"
      "    return a.to(6, False, True)\n",
  };
  const Tensors arguments = {seeded({2, 5, 32}, 1)};
  for (const char* source : sources) {
    torch::jit::Module fused = module_of(source);
    rewrite_graphs(fused);
    const at::Tensor found = run(fused, arguments);
    EXPECT_EQ(found.scalar_type(), at::kFloat) << source;
    EXPECT_NE(found.data_ptr(), arguments[0].data_ptr()) << source;
  }
}

// A method may have been inlined into another one before it was rewritten itself.
TEST(RewriteGraphs, MethodThatAnotherCalls_RunsRewritten) {
  torch::jit::Module module("m");
  module.register_parameter("w", seeded({8, 8}, 1, at::kBFloat16), false);
  module.define(
      "def forward(self, x):\n    return self.helper(x) + 1\n"
      "def helper(self, x):\n    return torch.linear(x, self.w)\n");
  rewrite_graphs(module);
  ASSERT_EQ(packable_weights(module), std::set<std::string>{"w"});
  const at::Tensor x = seeded({1, 3, 8}, 2, at::kBFloat16);
  const at::Tensor wanted = at::linear(x, module.attr("w").toTensor());
  module.setattr("w", prepare_weight(module.attr("w").toTensor(), WeightForm::kPacked));
  EXPECT_LE(relative_error(module.run_method("helper", x).toTensor(), wanted), 1e-2);
  EXPECT_LE(relative_error(module.run_method("forward", x).toTensor(), wanted + 1), 1e-2);
}

// A value of a pattern's inside that something else needs must survive.
TEST(RewriteGraphs, InnerValueUsedElsewhere_StaysRight) {
  const char* source =
      "def forward(self, hidden, output, gate):\n"
      "    m = gate * output\n"
      "    return (hidden + m) * m\n";
  torch::jit::Module stock = module_of(source), fused = module_of(source);
  rewrite_graphs(fused);
  const Tensors arguments = {seeded({1, 3, 8}, 1), seeded({1, 3, 8}, 2), seeded({1, 1, 8}, 3)};
  EXPECT_TRUE(at::equal(run(fused, arguments), run(stock, arguments)));
}

TEST(PackableWeights, NamesThoseUsedByNothingElse) {
  torch::jit::Module inner("inner");
  inner.register_parameter("weight", seeded({8, 8}, 1, at::kBFloat16), false);
  inner.register_parameter("shared", seeded({8, 8}, 2, at::kBFloat16), false);
  inner.define(
      "def forward(self, x):\n"
      "    y = torch.linear(x, self.weight)\n"
      "    return torch.linear(y, self.shared) + self.shared[0]\n");
  torch::jit::Module outer("outer");
  outer.register_module("layer", inner);
  outer.define("def forward(self, x):\n    return self.layer.forward(x)\n");
  rewrite_graphs(outer);
  EXPECT_EQ(packable_weights(outer), std::set<std::string>{"layer.weight"});
}

// One module under two names: what one path may change, the other must not need.
TEST(PackableWeights, SharedModule_IsLeftAlone) {
  torch::jit::Module inner("shared");
  inner.register_parameter("weight", seeded({8, 8}, 1), false);
  inner.define("def forward(self, x):\n    return torch.linear(x, self.weight)\n");
  torch::jit::Module outer("owner");
  outer.register_module("a", inner);
  outer.register_module("b", inner);
  outer.define("def forward(self, x):\n    return self.a.forward(x) + self.b.weight[0]\n");
  rewrite_graphs(outer);
  EXPECT_TRUE(packable_weights(outer).empty());
}

}  // namespace
}  // namespace bw
