// The one denoiser: runs any bundle's TorchScript code. Read denoiser.h for the Pass it hands out,
// docs/bundle-format.md for the functions behind it.
// A run computes what is constant once: conditions() per branch, modulation() per evaluation; then
// begin() per branch and evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bundle/denoiser.h"
#include "bundle/manifest.h"
#include "kernels/attention.h"

namespace bw {

class WeightSet;
struct Execution;

using Tensors = std::vector<at::Tensor>;

// What depends on text and grid alone, for one branch (or for a batch of branches: rows of the
// text).
struct BranchContext {
  LatentShape shape;
  std::int64_t batch = 0;
  at::Tensor text;                           // [B,T,C] in the run's dtype
  at::Tensor grid;                           // int64 [N,3]: frame, row, column
  std::vector<std::vector<Tensors>> blocks;  // by expert, then by block
  // Of the blocks' attention; nothing: by the rule of kernels/attention.h.
  std::optional<AttentionForm> attention;
};

// What depends on the time step alone, of one evaluation.
struct Modulation {
  std::size_t expert = 0;  // which list of blocks runs at this time step
  at::Tensor t;            // [B] f32
  at::Tensor guidance;     // [B] f32, distilled models only
  Tensors head;
  Tensors blocks;
};

struct TimeInput {
  double timestep = 0;  // the scheduler's, 0 … 1000
  // The distilled guidance scale; given exactly when wants_guidance().
  std::optional<double> guidance;
};

// Thread-safe. Every public function holds a c10::InferenceMode of its own, so results are
// inference tensors: whoever changes one in place must be in inference mode too.
class Denoiser {
 public:
  // `weights` must outlive nothing: the denoiser shares the mappings.
  Denoiser(const Manifest& manifest, const Execution& execution, const WeightSet& weights);
  ~Denoiser();
  Denoiser(const Denoiser&) = delete;
  Denoiser& operator=(const Denoiser&) = delete;

  [[nodiscard]] at::ScalarType dtype() const;
  [[nodiscard]] std::size_t num_experts() const;
  // The expert of a time step; one outside all ranges is InputError.
  [[nodiscard]] std::size_t expert_at(double timestep) const;
  [[nodiscard]] std::span<const BlockInfo> blocks(std::size_t expert) const;
  // Whether the model takes the guidance scale as an input.
  [[nodiscard]] bool wants_guidance() const;

  // text: [B,T,C] in any float dtype on any device, T up to the manifest's text_tokens. What comes
  // back is on the device that the denoiser was loaded for. Throws InputError.
  [[nodiscard]] BranchContext conditions(const at::Tensor& text, const LatentShape& shape) const;
  // The same for all rows of the batch.
  [[nodiscard]] Modulation modulation(const TimeInput& time, std::int64_t batch) const;
  // latent: [B,C,F,H,W] f32 of the context's shape and batch. The Pass copies what it needs of the
  // arguments (no tensor data); it must not outlive the denoiser.
  [[nodiscard]] std::unique_ptr<Pass> begin(const BranchContext& context, const at::Tensor& latent,
                                            const Modulation& modulation) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

// Contexts of several branches as one batch, in order; for batched guidance. All must have one
// shape.
[[nodiscard]] BranchContext batch_contexts(const Denoiser& denoiser,
                                           std::span<const BranchContext> contexts);

}  // namespace bw
