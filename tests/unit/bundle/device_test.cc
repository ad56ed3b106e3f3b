// A model on another device than the CPU: the meta device stands in for a GPU, since operators
// refuse to mix it with the CPU in the same way. It has shapes and no values.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include "bundle/bundle.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using testing::bundle_path;
using Optional = std::optional<at::Tensor>;

const c10::Device kElsewhere(c10::kMeta);

// Shapes and devices of the fused operators; a tensor of another device is refused.
at::Tensor like(const at::Tensor& x, std::initializer_list<Optional> others) {
  for (const Optional& other : others) {
    TORCH_CHECK(!other || other->device() == x.device(), "another device: ", other->device());
  }
  return at::empty_like(x);
}

TORCH_LIBRARY_IMPL(bw, Meta, library) {
  library.impl("norm_modulate",
               [](const at::Tensor& x, const Optional& weight, const Optional& bias,
                  const Optional& shift, const Optional& scale, double, bool) {
                 return like(x, {weight, bias, shift, scale});
               });
  library.impl("gated_add", [](const at::Tensor& hidden, const at::Tensor& output,
                               const at::Tensor& gate, bool) {
    return like(hidden, {output, gate});
  });
  library.impl("qk_norm_rope",
               [](const at::Tensor& x, const Optional& weight, double, const Optional& cos,
                  const Optional& sin, std::int64_t, std::int64_t, bool) {
                 return like(x, {weight, cos, sin});
               });
  library.impl("linear", [](const at::Tensor& x, const at::Tensor& weight, const Optional& bias,
                            std::int64_t) {
    (void)like(x, {weight, bias});
    return at::linear(x, weight, bias);
  });
  library.impl("gated_activation", [](const at::Tensor& x, std::int64_t) {
    return at::empty_like(at::chunk(x, 2, -1)[0]);
  });
  library.impl("attention", [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return like(q, {k, v});
  });
}

void expect_elsewhere(const Tensors& tensors, const char* what) {
  for (const at::Tensor& tensor : tensors) EXPECT_EQ(tensor.device(), kElsewhere) << what;
}

// The synthetic model with its norms fused: the other bundles need operators that the meta device
// lacks (aten::nonzero, aten::index_select).
TEST(DenoiserElsewhere, WholePass_KeepsEveryTensorThere) {
  const auto bundle = Bundle::load(Bundle::open(bundle_path("synthetic")), {.device = kElsewhere});
  const Manifest& manifest = bundle->manifest();
  const Denoiser& denoiser = bundle->denoiser();
  const LatentShape shape{manifest.latent.channels, 2, 4, 6};
  // Text and latent come from the CPU: they are brought over.
  const at::Tensor text = at::zeros({1, manifest.text_tokens, manifest.text_dim});
  const BranchContext context = denoiser.conditions(text, shape);
  expect_elsewhere({context.text, context.grid}, "context");
  for (const double timestep : {999.0, 1.0}) {
    const Modulation modulation = denoiser.modulation({.timestep = timestep, .guidance = {}}, 1);
    expect_elsewhere(modulation.blocks, "modulation");
    for (const Tensors& block : context.blocks[modulation.expert]) {
      expect_elsewhere(block, "context of a block");
    }
    const auto pass = denoiser.begin(context, at::zeros(shape.sizes(1)), modulation);
    Hidden hidden = pass->embed();
    for (std::size_t block = 0; block < pass->blocks().size(); ++block) {
      expect_elsewhere({pass->probe(block, hidden)}, "probe");
      hidden = pass->run_block(block, hidden);
      expect_elsewhere(hidden, "hidden state");
    }
    expect_elsewhere({pass->head(hidden)}, "prediction");
  }
}

}  // namespace
}  // namespace bw
