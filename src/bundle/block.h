// One transformer block with its weights, and the place where blocks are kept.
// Read torchscript_denoiser.cc for how a block is walked, docs/bundle-format.md for its methods.
#pragma once

#include <torch/csrc/jit/api/method.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bundle/code_library.h"
#include "bundle/denoiser.h"

namespace bw {

// What a block works on besides the hidden state; the same for a whole pass.
struct BlockInputs {
  c10::IValue modulation;  // tuple
  c10::IValue context;     // tuple
};

class Block {
 public:
  // Checks every signature of the kind. int8: its linear layers are quantised. Throws InputError.
  Block(const BlockKind& kind, const BlockEntry& entry, CodeLibrary& code, bool int8);

  [[nodiscard]] Hidden forward(const Hidden& hidden, const BlockInputs& inputs) const;
  [[nodiscard]] at::Tensor probe(const Hidden& hidden, const BlockInputs& inputs) const;
  // The attention stage runs in C++ (bw::attention, kernels/attention.h); the others are methods of
  // the code.
  [[nodiscard]] StageResult run_stage(std::size_t stage, const Hidden& hidden,
                                      const BlockInputs& inputs) const;
  [[nodiscard]] Hidden add_stage(std::size_t stage, const Hidden& hidden,
                                 const StageResult& result) const;
  // The gate that run_stage returns, without the stage.
  [[nodiscard]] Hidden gate(std::size_t stage, const BlockInputs& inputs) const;
  // Every stage and its sum when an attention stage is named, else forward.
  [[nodiscard]] Hidden run(const Hidden& hidden, const BlockInputs& inputs) const;

 private:
  struct Stage {
    torch::jit::Method run;
    torch::jit::Method add;
    torch::jit::Method gate;
  };
  struct Attention {
    std::size_t stage = 0;
    torch::jit::Method qkv;
    torch::jit::Method out;
  };

  [[nodiscard]] StageResult attend_stage(const Hidden& hidden, const BlockInputs& inputs) const;

  std::string place_;
  torch::jit::Method forward_;
  torch::jit::Method probe_;
  std::vector<Stage> stages_;
  std::optional<Attention> attention_;
};

// Blocks by expert and position. All are resident today; who uses one holds it by acquire and
// release, so that they can be streamed later.
class BlockStore {
 public:
  void append(std::size_t expert, Block block) {
    if (blocks_.size() <= expert) blocks_.resize(expert + 1);
    blocks_[expert].push_back(std::move(block));
  }
  [[nodiscard]] const Block& acquire(std::size_t expert, std::size_t block) const {
    return blocks_.at(expert).at(block);
  }
  void release(std::size_t /*expert*/, std::size_t /*block*/) const noexcept {}

 private:
  std::vector<std::vector<Block>> blocks_;
};

// A block for as long as it is needed.
class BlockLease {
 public:
  BlockLease(const BlockStore& store, std::size_t expert, std::size_t block)
      : store_(store), expert_(expert), index_(block), block_(store.acquire(expert, block)) {}
  ~BlockLease() { store_.release(expert_, index_); }
  BlockLease(const BlockLease&) = delete;
  BlockLease& operator=(const BlockLease&) = delete;

  const Block* operator->() const { return &block_; }

 private:
  const BlockStore& store_;
  std::size_t expert_;
  std::size_t index_;
  const Block& block_;
};

}  // namespace bw
