// The seam between a model and the cache: one evaluation of the denoiser, walked block by block.
// Read bundle/torchscript_denoiser.h for the implementation and cache/cache_controller.h for the
// caller.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace bw {

// The hidden state: one tensor [B,N,D] per stream (one for Wan; image and text for Hunyuan).
// Tensors handed out are never changed in place afterwards, so holding one costs memory but no
// copy.
using Hidden = std::vector<at::Tensor>;

struct BlockInfo {
  std::string kind;                 // name of the block's code
  std::vector<std::string> stages;  // e.g. self_attention, cross_attention, feed_forward
};

// A stage before its residual sum; a stage without a gate has gates of one.
struct StageResult {
  Hidden output;
  Hidden gate;
};

// One evaluation of one branch. Owns what is constant during it (latent, modulation, the branch's
// context).
class Pass {
 public:
  virtual ~Pass() = default;

  [[nodiscard]] virtual std::span<const BlockInfo> blocks() const = 0;
  [[nodiscard]] virtual Hidden embed() = 0;
  // The whole block; equals running its stages and adding each.
  [[nodiscard]] virtual Hidden run_block(std::size_t block, const Hidden& hidden) = 0;
  // The same with its linear layers in int8. Only where the model was loaded for it
  // (LoadOptions::int8_variant).
  [[nodiscard]] virtual Hidden run_block_int8(std::size_t block, const Hidden& hidden) = 0;
  // The modulated attention input [B,N,D] of a block (norm1(h)·(1+scale)+shift).
  [[nodiscard]] virtual at::Tensor probe(std::size_t block, const Hidden& hidden) = 0;
  [[nodiscard]] virtual StageResult run_stage(std::size_t block, std::size_t stage,
                                              const Hidden& hidden) = 0;
  [[nodiscard]] virtual Hidden add_stage(std::size_t block, std::size_t stage, const Hidden& hidden,
                                         const StageResult& result) = 0;
  // The gate of StageResult alone, which costs next to nothing: a kept output is added with it.
  [[nodiscard]] virtual Hidden gate(std::size_t block, std::size_t stage) = 0;
  // The model's prediction [B,C,F,H,W] in f32.
  [[nodiscard]] virtual at::Tensor head(const Hidden& hidden) = 0;
};

}  // namespace bw
