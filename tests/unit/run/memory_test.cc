#include "run/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/simd.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

Plan plan_of(const Manifest& manifest, const Json& config) {
  Request request;
  Json whole = {{"prompt", "a fox"}, {"threads", 1}, {"cache", "none"}};
  whole.update(config);
  request.add_config(whole, Origin::file("c.json: "));
  return resolve(request, manifest);
}

TEST(DeclaredMemory, Parts_AddUp) {
  const DeclaredMemory memory{
      .weights = 1, .copies = 20, .cache = 300, .hidden = 4000, .activations = 50000};
  EXPECT_EQ(memory.total(), 54321U);
  const Json json = to_json(memory);
  EXPECT_EQ(json.at("declared_bytes"), 54321);
  EXPECT_EQ(json.at("declared").at("copies"), 20);
  EXPECT_THAT(to_text({.weights = 2048, .copies = 0, .cache = 1024, .hidden = 0, .activations = 0}),
              ::testing::StrEq("3.0 KiB: weights 2.0 KiB, cache 1.0 KiB"));
}

TEST(DeclaredMemory, WidestMoment_IsAttentionOrFeedForward) {
  EXPECT_EQ(values_per_token(192, 768), 1920);   // ten tensors of an attention
  EXPECT_EQ(values_per_token(100, 2000), 2300);  // a very wide feed-forward layer
}

// By hand from the model's sizes: 9 frames of 64 × 64 in latents 3 × 8 × 8, patches of 2 × 2, 32
// values per token, f32, one branch at a time.
TEST(DeclaredMemory, ClipOfTheTinyModel_IsAsByHand) {
  const Manifest manifest = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  const Plan plan = plan_of(manifest, {{"dtype", "float32"},
                                       {"width", 64},
                                       {"height", 64},
                                       {"num_frames", 9},
                                       {"guidance_batching", "separate"}});
  const DeclaredMemory memory = declared_memory(plan, manifest, {.stored = 7, .copies = 5});
  constexpr std::uint64_t kTokens = 3 * 4 * 4, kWidth = 32, kF32 = 4;
  EXPECT_EQ(memory.weights, 7U);
  EXPECT_EQ(memory.copies, 5U);
  EXPECT_EQ(memory.cache, 0U);
  EXPECT_EQ(memory.hidden, 2 * kTokens * kWidth * kF32);
  EXPECT_EQ(memory.activations, 10 * kTokens * kWidth * kF32);
}

// Counting must not differ from loading.
TEST(CountWeights, EveryForm_CountsWhatLoadingHolds) {
  const Manifest manifest = read_manifest(BW_SOURCE_DIR "/models/default/bundle");
  std::vector<Json> forms = {{{"dtype", "bfloat16"}, {"no_rewrite", true}},
                             {{"dtype", "bfloat16"}},
                             {{"dtype", "float32"}}};
  if (has_int8_products()) forms.push_back({{"dtype", "bfloat16"}, {"quantize", "int8"}});
  std::uint64_t in_file = 0;
  for (const HashedFile& file : manifest.weights) {
    for (const auto& [name, tensor] : read_safetensors(manifest.directory / file.file).tensors) {
      in_file += tensor.nbytes();
    }
  }
  std::vector<std::uint64_t> copies;
  for (const Json& form : forms) {
    const Plan plan = plan_of(manifest, form);
    const WeightBytes counted = count_weights(plan, manifest);
    const WeightBytes loaded = load_model(plan, manifest)->weight_bytes();
    EXPECT_EQ(counted.stored, loaded.stored) << form;
    EXPECT_EQ(counted.copies, loaded.copies) << form;
    copies.push_back(loaded.copies);
    EXPECT_EQ(loaded.stored, in_file) << "the tensors of the weight file";
  }
  // bfloat16 as stored needs next to nothing; float32 converts all.
  EXPECT_LT(copies[0], 1U << 20);
  EXPECT_GT(copies[2], 70000000U);
  if (!has_avx512_bf16()) return;
  EXPECT_GT(copies[1], 30U << 20);
  if (copies.size() > 3) {
    EXPECT_LT(copies[3], copies[1]);
  }
}

}  // namespace
}  // namespace bw
