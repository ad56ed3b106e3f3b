// Replays what transformers' encoder, sentencepiece in Python and the original decoder computed.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "bundle/bundle.h"
#include "bundle/prompt_words.h"
#include "golden/bundle/relative_error.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

using testing::expect_close;

class TextDecoderGolden : public ::testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path path_ = std::filesystem::path(BW_SOURCE_DIR) / GetParam();
  const std::shared_ptr<const Bundle> bundle_ = Bundle::load(Bundle::open(path_), {});
};

TEST_P(TextDecoderGolden, Prompts_IdsAndEmbeddingMatch) {
  const c10::InferenceMode guard;
  const Safetensors golden = read_safetensors(path_ / "golden" / "text.safetensors");
  int prompts = 0;
  for (; golden.metadata.contains(std::to_string(prompts) + ".prompt"); ++prompts) {
    const std::string number = std::to_string(prompts) + ".";
    const std::string& prompt = golden.metadata.at(number + "prompt");
    const TextEmbedding text = bundle_->text_encoder()->encode(prompt);
    const at::Tensor ids = golden.tensors.at(number + "ids")[0];
    const auto used = golden.tensors.at(number + "mask").sum().item<std::int64_t>();
    EXPECT_TRUE(at::equal(at::tensor(text.tokens.ids, at::kLong), ids.narrow(0, 0, used)))
        << prompt;
    expect_close(text.embedding, golden.tensors.at(number + "embedding"),
                 "embedding" + std::to_string(prompts));
  }
  EXPECT_GE(prompts, 2);
}

// Logits of the original and words that Python found unknown; a bundle without them has no goldens
// of them either.
TEST_P(TextDecoderGolden, Prompts_AttributesAndUnknownWordsMatch) {
  const c10::InferenceMode guard;
  const Safetensors golden = read_safetensors(path_ / "golden" / "text.safetensors");
  const TextPipeline& pipeline = *bundle_->manifest().text;
  std::size_t tensors = 0;
  std::size_t lists = 0;
  for (const auto& [key, prompt] : golden.metadata) {
    if (!key.ends_with(".prompt")) continue;
    const std::string number = key.substr(0, key.find('.') + 1);
    const std::vector<at::Tensor> logits = bundle_->text_encoder()->attributes(prompt);
    for (std::size_t n = 0; n < logits.size(); ++n) {
      const std::string name = number + "attributes." + std::to_string(n);
      expect_close(logits[n].unsqueeze(0), golden.tensors.at(name), name);
    }
    tensors += logits.size();
    if (pipeline.words.empty()) continue;
    const Json wanted = Json::parse(golden.metadata.at(number + "unknown_words"));
    EXPECT_EQ(Json(unknown_words(prompt, pipeline)), wanted) << prompt;
    ++lists;
  }
  const auto count = [](const auto& entries, std::string_view part) {
    return static_cast<std::size_t>(std::ranges::count_if(
        entries, [&](const auto& entry) { return entry.first.find(part) != std::string::npos; }));
  };
  EXPECT_EQ(tensors, count(golden.tensors, ".attributes."));
  EXPECT_EQ(lists, count(golden.metadata, ".unknown_words"));
}

TEST_P(TextDecoderGolden, Frames_MatchTheOriginal) {
  const c10::InferenceMode guard;
  const auto golden = read_safetensors(path_ / "golden" / "decoder.safetensors").tensors;
  std::vector<at::Tensor> chunks;
  bundle_->video_decoder()->decode(golden.at("latent"),
                                   [&](const at::Tensor& frames) { chunks.push_back(frames); });
  // tiny-wan: [1,n,3,h,w] in [0,1] with the leading frames; default: bytes without them.
  at::Tensor shown = golden.at("frames")[0].permute({0, 2, 3, 1});
  double tolerance = 1.0 / 255;  // both sides rounded: one level
  if (shown.is_floating_point()) {
    const std::int64_t leading = bundle_->manifest().latent.leading_frames;
    shown = shown.narrow(0, leading, shown.size(0) - leading).clamp(0, 1);
    tolerance = 0.5 / 255 + testing::kTolerance;  // half a level for our rounding
  } else {
    shown = shown.to(at::kFloat) / 255;
  }
  const at::Tensor found = at::cat(chunks, 0).to(at::kFloat) / 255;
  ASSERT_EQ(found.sizes(), shown.sizes());
  EXPECT_LE((found - shown).abs().max().item<double>(), tolerance + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Bundles, TextDecoderGolden,
                         ::testing::Values("tests/data/bundles/tiny-wan", "models/default/bundle"));

}  // namespace
}  // namespace bw
