// A model of a few hundred numbers behind the Pass interface: two streams, blocks of two stages
// (one mixes all tokens of all streams, one has no gate), an optional second expert, any number of
// branches as rows of a batch. Deterministic.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bundle/denoiser.h"

namespace bw::testing {

inline at::Tensor seeded_randn(at::IntArrayRef shape, std::uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat));
}

// Counts what the cache asked of the model.
struct CallCounts {
  int passes = 0;
  int embeds = 0;
  int blocks = 0;       // run whole
  int int8_blocks = 0;  // of those, in int8
  int stages = 0;       // run one by one
  int probes = 0;
  int heads = 0;
  // Storage of every hidden state and probe handed out, to see what is still held.
  std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> storages;

  void hand_out(const Hidden& hidden) {
    for (const at::Tensor& tensor : hidden) {
      storages.push_back(tensor.storage().getWeakStorageImpl());
    }
  }
  [[nodiscard]] std::uint64_t live_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& weak : storages) {
      if (const auto storage = weak.lock()) bytes += storage->nbytes();
    }
    return bytes;
  }
};

struct FakeInput {
  at::Tensor latent;   // [B,C,F,H,W] f32
  at::Tensor context;  // [B,kWidth] f32: what distinguishes the branches
  double time = 0;     // 0 … 1
};

// Weights of one expert.
class FakeModel {
 public:
  static constexpr std::int64_t kWidth = 8;
  static constexpr std::int64_t kTokens[] = {6, 3};  // of the streams
  static constexpr std::int64_t kLatentShape[] = {1, 2, 3, 2, 2};

  FakeModel(std::size_t num_blocks, std::uint64_t seed, at::ScalarType dtype)
      : dtype_(dtype), blocks_(num_blocks, BlockInfo{"fake", {"mix", "feed"}}) {
    const std::int64_t values = 2 * 3 * 2 * 2;
    embed_ = seeded_randn({values, kTokens[0] * kWidth}, seed) / 5;
    head_ = seeded_randn({(kTokens[0] + kTokens[1]) * kWidth, values}, seed + 1) / 10;
    for (std::size_t block = 0; block < num_blocks; ++block) {
      mix_.push_back(seeded_randn({kWidth, kWidth}, seed + 2 + block) / 3);
    }
  }

  // Bytes of the hidden state and of the probe for one branch.
  [[nodiscard]] std::uint64_t hidden_bytes() const {
    return static_cast<std::uint64_t>((kTokens[0] + kTokens[1]) * kWidth) * at::elementSize(dtype_);
  }
  [[nodiscard]] std::uint64_t probe_bytes() const {
    return static_cast<std::uint64_t>(kTokens[0] * kWidth) * at::elementSize(dtype_);
  }
  [[nodiscard]] const std::vector<BlockInfo>& blocks() const { return blocks_; }
  [[nodiscard]] at::ScalarType dtype() const { return dtype_; }

 private:
  friend class FakePass;
  at::ScalarType dtype_;
  std::vector<BlockInfo> blocks_;
  at::Tensor embed_;
  at::Tensor head_;
  std::vector<at::Tensor> mix_;
};

class FakePass final : public Pass {
 public:
  FakePass(const FakeModel& model, FakeInput input, CallCounts* counts)
      : model_(model), input_(std::move(input)), counts_(counts) {
    ++counts_->passes;
  }

  std::span<const BlockInfo> blocks() const override { return model_.blocks_; }

  Hidden embed() override {
    ++counts_->embeds;
    const std::int64_t batch = input_.latent.size(0);
    const at::Tensor video = at::matmul(input_.latent.reshape({batch, -1}), model_.embed_)
                                 .reshape({batch, FakeModel::kTokens[0], FakeModel::kWidth});
    const at::Tensor text =
        input_.context.unsqueeze(1).expand({batch, FakeModel::kTokens[1], FakeModel::kWidth});
    Hidden hidden = {(video + 1).to(model_.dtype_), (text + 1).contiguous().to(model_.dtype_)};
    counts_->hand_out(hidden);
    return hidden;
  }

  Hidden run_block(std::size_t block, const Hidden& hidden) override {
    ++counts_->blocks;
    const Hidden mixed = add_stage(block, kMix, hidden, mix(block, hidden));
    Hidden output = add_stage(block, kFeed, mixed, feed(mixed));
    counts_->hand_out(output);
    return output;
  }

  // Coarser than run_block, so that it shows.
  Hidden run_block_int8(std::size_t block, const Hidden& hidden) override {
    ++counts_->int8_blocks;
    Hidden output = run_block(block, hidden);
    for (at::Tensor& stream : output) stream = (stream * 16).round() / 16;
    counts_->hand_out(output);
    return output;
  }

  at::Tensor probe(std::size_t block, const Hidden& hidden) override {
    ++counts_->probes;
    at::Tensor probe = (hidden[0].to(at::kFloat) * (1 + input_.time) + static_cast<double>(block))
                           .to(model_.dtype_);
    counts_->hand_out({probe});
    return probe;
  }

  StageResult run_stage(std::size_t block, std::size_t stage, const Hidden& hidden) override {
    ++counts_->stages;
    StageResult result = stage == kMix ? mix(block, hidden) : feed(hidden);
    counts_->hand_out(result.output);
    return result;
  }

  Hidden add_stage(std::size_t /*block*/, std::size_t /*stage*/, const Hidden& hidden,
                   const StageResult& result) override {
    Hidden sum;
    for (std::size_t s = 0; s < hidden.size(); ++s) {
      sum.push_back(
          (hidden[s].to(at::kFloat) + result.output[s] * result.gate[s]).to(model_.dtype_));
    }
    return sum;
  }

  Hidden gate(std::size_t /*block*/, std::size_t stage) override {
    const at::Tensor gate = stage == kMix ? at::full({1}, 0.2 + 0.1 * input_.time) : at::ones({1});
    return {gate, gate};
  }

  at::Tensor head(const Hidden& hidden) override {
    ++counts_->heads;
    const at::Tensor tokens = at::cat({hidden[0], hidden[1]}, 1).to(at::kFloat);
    return at::matmul(tokens.reshape({tokens.size(0), -1}), model_.head_)
        .reshape(input_.latent.sizes());
  }

 private:
  static constexpr std::size_t kMix = 0;
  static constexpr std::size_t kFeed = 1;

  StageResult mix(std::size_t block, const Hidden& hidden) {
    const at::Tensor tokens = at::cat({hidden[0], hidden[1]}, 1).to(at::kFloat);
    const at::Tensor everything = tokens.mean(1, /*keepdim=*/true);  // [B,1,D]
    const at::Tensor update =
        at::tanh(at::matmul(tokens + everything, model_.mix_[block]) + input_.context.unsqueeze(1));
    const std::int64_t video = FakeModel::kTokens[0];
    const std::int64_t text = FakeModel::kTokens[1];
    return {{update.narrow(1, 0, video).clone().to(model_.dtype_),
             update.narrow(1, video, text).clone().to(model_.dtype_)},
            gate(block, kMix)};
  }

  StageResult feed(const Hidden& hidden) {
    Hidden output;
    for (const at::Tensor& stream : hidden) {
      output.push_back((at::tanh(stream.to(at::kFloat)) / 10).to(model_.dtype_));
    }
    return {output, gate(0, kFeed)};
  }

  const FakeModel& model_;
  FakeInput input_;
  CallCounts* counts_;
};

}  // namespace bw::testing
