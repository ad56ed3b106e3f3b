// Replays what transformers' encoder, sentencepiece in Python and the original decoder computed.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bundle/bundle.h"
#include "golden/bundle/relative_error.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

using testing::expect_close;

std::filesystem::path tiny_wan() {
  return std::filesystem::path(BW_TEST_DATA) / "bundles" / "tiny-wan";
}

TEST(TextGolden_Prompts, IdsAndEmbeddingMatch) {
  const auto bundle = Bundle::load(Bundle::open(tiny_wan()), {});
  const c10::InferenceMode guard;
  const Safetensors golden = read_safetensors(tiny_wan() / "golden" / "text.safetensors");
  int prompts = 0;
  for (; golden.metadata.contains(std::to_string(prompts) + ".prompt"); ++prompts) {
    const std::string number = std::to_string(prompts) + ".";
    const std::string& prompt = golden.metadata.at(number + "prompt");
    const TextEmbedding text = bundle->text_encoder()->encode(prompt);
    const at::Tensor ids = golden.tensors.at(number + "ids")[0];
    const auto used = golden.tensors.at(number + "mask").sum().item<std::int64_t>();
    EXPECT_TRUE(at::equal(at::tensor(text.tokens.ids, at::kLong), ids.narrow(0, 0, used)))
        << prompt;
    expect_close(text.embedding, golden.tensors.at(number + "embedding"),
                 "embedding" + std::to_string(prompts));
  }
  EXPECT_GE(prompts, 3);
}

TEST(DecoderGolden_Frames, MatchTheOriginal) {
  const auto bundle = Bundle::load(Bundle::open(tiny_wan()), {});
  const c10::InferenceMode guard;
  const auto golden = read_safetensors(tiny_wan() / "golden" / "decoder.safetensors").tensors;
  std::vector<at::Tensor> chunks;
  bundle->video_decoder()->decode(golden.at("latent"),
                                  [&](const at::Tensor& frames) { chunks.push_back(frames); });
  // [1,n,3,h,w] in [0,1], leading frames included → what is shown.
  const at::Tensor frames = golden.at("frames")[0];
  const std::int64_t leading = bundle->manifest().latent.leading_frames;
  const at::Tensor shown =
      frames.narrow(0, leading, frames.size(0) - leading).permute({0, 2, 3, 1}).clamp(0, 1);
  const at::Tensor found = at::cat(chunks, 0).to(at::kFloat) / 255;
  ASSERT_EQ(found.sizes(), shown.sizes());
  // Half a level for the rounding, and the tolerance of the decoder.
  EXPECT_LE((found - shown).abs().max().item<double>(), 0.5 / 255 + testing::kTolerance);
}

}  // namespace
}  // namespace bw
