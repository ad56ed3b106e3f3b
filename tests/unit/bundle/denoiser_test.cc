#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "bundle/block.h"
#include "bundle/bundle.h"
#include "torchscript/call.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using testing::bundle_path;
using testing::BundleCopy;
using ::testing::HasSubstr;
using testing::message_of;

struct Setting {
  const char* bundle;
  at::ScalarType dtype;
  double timestep;
  bool rewrite = true;
};

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
  return out << setting.bundle << ' ' << setting.dtype << " t=" << setting.timestep
             << (setting.rewrite ? "" : " as it is");
}

bool equal(const Hidden& a, const Hidden& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) same = at::equal(a[i], b[i]);
  return same;
}

// A denoiser in the middle of an evaluation, on seeded inputs.
struct Evaluation {
  explicit Evaluation(const Setting& setting)
      : bundle(Bundle::load(Bundle::open(bundle_path(setting.bundle)),
                            {.dtype = setting.dtype, .rewrite = setting.rewrite})) {
    at::manual_seed(5);
    const Manifest& manifest = bundle->manifest();
    shape = {.channels = manifest.latent.channels, .frames = 2, .height = 4, .width = 6};
    text = at::randn({2, manifest.text_tokens, manifest.text_dim});
    latent = at::randn(shape.sizes(2));
    context = bundle->denoiser().conditions(text, shape);
    modulation = bundle->denoiser().modulation({.timestep = setting.timestep, .guidance = {}}, 2);
    pass = bundle->denoiser().begin(context, latent, modulation);
  }

  std::shared_ptr<const Bundle> bundle;
  LatentShape shape;
  at::Tensor text;
  at::Tensor latent;
  BranchContext context;
  Modulation modulation;
  std::unique_ptr<Pass> pass;
};

class DenoiserTest : public ::testing::TestWithParam<Setting> {};

// forward() of the archive is what the exporter compared with the original model.
TEST_P(DenoiserTest, StagedWalk_EqualsForwardBitForBit) {
  Evaluation evaluation(GetParam());
  const Manifest& manifest = evaluation.bundle->manifest();
  std::vector<std::filesystem::path> files;
  for (const HashedFile& file : manifest.weights) files.push_back(manifest.directory / file.file);
  const WeightSet weights(files);
  CodeLibrary code(manifest, {.dtype = GetParam().dtype, .rewrite = GetParam().rewrite}, weights);
  const c10::InferenceMode guard;
  const std::size_t expert = evaluation.modulation.expert;
  Pass& pass = *evaluation.pass;
  Hidden hidden = pass.embed();
  for (std::size_t i = 0; i < pass.blocks().size(); ++i) {
    const BlockEntry& entry = manifest.experts[expert].blocks[i];
    BlockKind uncut = manifest.kinds.at(entry.kind);
    uncut.attention.clear();  // the attention of the traced code itself
    const Block plain(uncut, entry, code, /*int8=*/false);
    const BlockInputs inputs{.modulation = to_tuple(evaluation.modulation.blocks),
                             .context = to_tuple(evaluation.context.blocks[expert][i])};
    const Hidden whole = plain.run(hidden, inputs);
    Hidden staged = hidden;
    Hidden cut = hidden;
    for (std::size_t stage = 0; stage < pass.blocks()[i].stages.size(); ++stage) {
      staged = plain.add_stage(stage, staged, plain.run_stage(stage, staged, inputs));
      cut = pass.add_stage(i, stage, cut, pass.run_stage(i, stage, cut));
    }
    EXPECT_TRUE(equal(staged, whole)) << "block " << i;
    EXPECT_TRUE(equal(cut, pass.run_block(i, hidden))) << "block " << i;
    // In bf16 the attention may take another form (kernels/attention.h), so only fp32 promises the
    // same bits.
    EXPECT_TRUE(GetParam().dtype != at::kFloat || equal(cut, whole)) << "block " << i;
    hidden = whole;
  }
}

TEST_P(DenoiserTest, EveryCall_LeavesItsInputsAlone) {
  Evaluation evaluation(GetParam());
  Pass& pass = *evaluation.pass;
  const Hidden hidden = pass.embed();
  Hidden before;
  for (const at::Tensor& tensor : hidden) before.push_back(tensor.clone());
  const at::Tensor latent = evaluation.latent.clone();
  (void)pass.probe(0, hidden);
  (void)pass.run_block(0, hidden);
  const StageResult stage = pass.run_stage(0, 0, hidden);
  (void)pass.add_stage(0, 0, hidden, stage);
  const at::Tensor prediction = pass.head(hidden);
  EXPECT_TRUE(equal(hidden, before));
  EXPECT_TRUE(at::equal(evaluation.latent, latent));
  EXPECT_EQ(prediction.scalar_type(), at::kFloat);
  EXPECT_EQ(prediction.sizes(), latent.sizes());
}

TEST_P(DenoiserTest, HiddenState_HasTheDeclaredBytes) {
  Evaluation evaluation(GetParam());
  const Hidden hidden = evaluation.pass->embed();
  const auto declared =
      hidden_bytes(evaluation.bundle->manifest(), evaluation.shape, GetParam().dtype, 2);
  ASSERT_EQ(hidden.size(), declared.size());
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    EXPECT_EQ(static_cast<std::int64_t>(hidden[i].nbytes()), declared[i]);
  }
}

at::Tensor predict(const Denoiser& denoiser, const BranchContext& context, const at::Tensor& latent,
                   double timestep) {
  const Modulation modulation =
      denoiser.modulation({.timestep = timestep, .guidance = {}}, context.batch);
  const auto pass = denoiser.begin(context, latent, modulation);
  Hidden hidden = pass->embed();
  for (std::size_t i = 0; i < pass->blocks().size(); ++i) hidden = pass->run_block(i, hidden);
  return pass->head(hidden);
}

TEST_P(DenoiserTest, BatchedBranches_MatchSeparateOnes) {
  const Evaluation evaluation(GetParam());
  const Denoiser& denoiser = evaluation.bundle->denoiser();
  std::vector<BranchContext> contexts;
  std::vector<at::Tensor> separate;
  for (int row = 0; row < 2; ++row) {
    contexts.push_back(denoiser.conditions(evaluation.text.narrow(0, row, 1), evaluation.shape));
    separate.push_back(predict(denoiser, contexts.back(), evaluation.latent.narrow(0, row, 1),
                               GetParam().timestep));
  }
  const BranchContext both = batch_contexts(denoiser, contexts);
  EXPECT_EQ(both.batch, 2);
  const at::Tensor batched = predict(denoiser, both, evaluation.latent, GetParam().timestep);
  const at::Tensor wanted = at::cat(separate, 0);
  const double error = ((batched - wanted).abs().max() / wanted.abs().max()).item<double>();
  EXPECT_LE(error, GetParam().dtype == at::kFloat ? 1e-5 : 5e-2);
}

INSTANTIATE_TEST_SUITE_P(Bundles, DenoiserTest,
                         ::testing::Values(Setting{"tiny-wan", at::kFloat, 700},
                                           Setting{"tiny-wan", at::kBFloat16, 700},
                                           Setting{"tiny-wan", at::kFloat, 700, false},
                                           Setting{"tiny-wan", at::kBFloat16, 700, false},
                                           Setting{"synthetic", at::kFloat, 990},
                                           Setting{"synthetic", at::kFloat, 5},
                                           Setting{"synthetic", at::kBFloat16, 990},
                                           Setting{"synthetic", at::kBFloat16, 990, false}));

TEST(Denoiser_ExpertAt, FirstRangeThatHoldsTheStep) {
  const auto bundle = Bundle::load(Bundle::open(bundle_path("synthetic")), {});
  const std::vector<Expert>& experts = bundle->manifest().experts;
  const Denoiser& denoiser = bundle->denoiser();
  EXPECT_EQ(denoiser.num_experts(), 2U);
  EXPECT_EQ(denoiser.expert_at(1000), 0U);
  EXPECT_EQ(denoiser.expert_at(experts[0].to), 0U);
  EXPECT_EQ(denoiser.expert_at(experts[0].to - 1e-3), 1U);
  EXPECT_THAT(message_of<InputError>([&] { (void)denoiser.expert_at(1001); }), HasSubstr("1001"));
  EXPECT_EQ(denoiser.blocks(0).size(), experts[0].blocks.size());
}

TEST(Denoiser_TextOfAnotherShape, IsRefused) {
  const auto bundle = Bundle::load(Bundle::open(bundle_path("tiny-wan")), {});
  const LatentShape shape{.channels = 16, .frames = 1, .height = 2, .width = 2};
  for (const at::Tensor& bad : {at::zeros({1, 32, 31}), at::zeros({32, 32}), at::zeros({1, 33, 32}),
                                at::zeros({1, 32, 32}, at::kLong)}) {
    EXPECT_THAT(message_of<InputError>([&] { (void)bundle->denoiser().conditions(bad, shape); }),
                HasSubstr("32"));
  }
}

// A file that holds its own weights takes the place of code and weights.
TEST(Denoiser_SelfContainedArchive, NeedsNoWeightFile) {
  const BundleCopy copy("tiny-wan");
  const Setting setting{"tiny-wan", at::kFloat, 700};
  const Manifest manifest = Bundle::open(copy.path());
  {
    const std::vector<std::filesystem::path> files = {manifest.directory /
                                                      manifest.weights[0].file};
    const WeightSet weights(files);
    CodeLibrary code(manifest, {.dtype = at::kFloat, .rewrite = false}, weights);
    code.bound("head", "").save((copy.path() / "code/head.float32.pt").string());
  }
  copy.update_hash("head", "float32");
  // The weights that are now inside are not looked for.
  Safetensors weights = read_safetensors(copy.path() / "weights/model.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> rest;
  for (const auto& [name, tensor] : weights.tensors) {
    if (!name.starts_with("proj_out.")) rest.emplace_back(name, tensor);
  }
  ASSERT_LT(rest.size(), weights.tensors.size());
  write_safetensors(copy.path() / "weights/model.safetensors", rest, {});
  const auto own = Bundle::load(Bundle::open(copy.path()), {});
  const Evaluation evaluation(setting);
  const at::Tensor wanted = predict(evaluation.bundle->denoiser(), evaluation.context,
                                    evaluation.latent, setting.timestep);
  const BranchContext context = own->denoiser().conditions(evaluation.text, evaluation.shape);
  EXPECT_TRUE(
      at::equal(predict(own->denoiser(), context, evaluation.latent, setting.timestep), wanted));
}

}  // namespace
}  // namespace bw
