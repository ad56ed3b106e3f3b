// Every way in which a bundle on disk can be wrong, one at a time: what is said, and that it is
// said before anything runs.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/script.h>

#include "base/error.h"
#include "bundle/bundle.h"
#include "torchscript/safetensors.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using ::testing::AllOf;
using testing::BundleCopy;
using ::testing::HasSubstr;
using testing::message_of;

std::string load_error(const BundleCopy& bundle) {
  return message_of<InputError>([&] { (void)Bundle::load(Bundle::open(bundle.path()), {}); });
}

// Writes the weights anew after a change.
void edit_weights(const BundleCopy& bundle,
                  const std::function<void(std::map<std::string, at::Tensor>&)>& edit) {
  const auto path = bundle.path() / "weights" / "model.safetensors";
  Safetensors weights = read_safetensors(path);
  edit(weights.tensors);
  const std::vector<std::pair<std::string, at::Tensor>> tensors(weights.tensors.begin(),
                                                                weights.tensors.end());
  write_safetensors(path, tensors, {});
}

TEST(BadBundle_NothingWrong, Loads) {
  for (const char* name : {"tiny-wan", "synthetic"}) {
    const BundleCopy bundle(name);
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const auto loaded = Bundle::load(Bundle::open(bundle.path()), {.dtype = dtype});
      EXPECT_EQ(loaded->denoiser().dtype(), dtype);
      EXPECT_NE(loaded->video_decoder(), nullptr);
      EXPECT_EQ(loaded->text_encoder() != nullptr, std::string(name) == "tiny-wan");
    }
    int files = 0;
    verify_files(Bundle::open(bundle.path()), [&](const HashedFile&) { ++files; });
    EXPECT_GT(files, 10);
  }
}

TEST(BadBundle_MissingFile, IsNamedWhenItIsOpened) {
  for (const char* file :
       {"code/block.float32.pt", "weights/model.safetensors", "tokenizer.model"}) {
    const BundleCopy bundle("tiny-wan");
    std::filesystem::remove(bundle.path() / file);
    const std::string message = message_of<InputError>([&] { (void)Bundle::open(bundle.path()); });
    EXPECT_THAT(message, AllOf(HasSubstr(file), HasSubstr("missing"), HasSubstr("model.json: ")));
  }
}

TEST(BadBundle_FlippedBitInCode, IsRefusedByItsHash) {
  for (const char* file :
       {"code/block.float32.pt", "code/decoder.float32.pt", "code/text_encoder.float32.pt"}) {
    const BundleCopy bundle("tiny-wan");
    std::string bytes = read_file(bundle.path() / file);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    write_file(bundle.path() / file, bytes);
    EXPECT_THAT(load_error(bundle), AllOf(HasSubstr(file), HasSubstr("sha256")));
  }
}

TEST(BadBundle_TruncatedWeights, AreRefused) {
  const BundleCopy bundle("tiny-wan");
  const auto path = bundle.path() / "weights" / "model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  EXPECT_THAT(load_error(bundle), AllOf(HasSubstr("model.safetensors"), HasSubstr("cut short")));
}

// Weights are not hashed at load, since that would read them all.
TEST(BadBundle_FlippedBitInWeights, IsFoundByVerifying) {
  const BundleCopy bundle("tiny-wan");
  const auto path = bundle.path() / "weights" / "model.safetensors";
  std::string bytes = read_file(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(path, bytes);
  const Manifest manifest = Bundle::open(bundle.path());
  EXPECT_NO_THROW((void)Bundle::load(manifest, {}));
  const std::string message =
      message_of<InputError>([&] { verify_files(manifest, [](const HashedFile&) {}); });
  EXPECT_THAT(message, AllOf(HasSubstr("model.safetensors"), HasSubstr("sha256")));
}

TEST(BadBundle_MissingTensor, IsNamed) {
  const BundleCopy bundle("tiny-wan");
  edit_weights(bundle, [](auto& tensors) { tensors.erase("blocks.1.attn1.to_q.weight"); });
  EXPECT_THAT(load_error(bundle), AllOf(HasSubstr("block.float32.pt"), HasSubstr("missing"),
                                        HasSubstr("blocks.1.attn1.to_q.weight")));
}

TEST(BadBundle_WrongShape, SaysExpectedAndFound) {
  const BundleCopy bundle("tiny-wan");
  edit_weights(bundle, [](auto& tensors) {
    tensors["blocks.1.attn1.to_q.weight"] = at::zeros({32, 31});
  });
  EXPECT_THAT(load_error(bundle), AllOf(HasSubstr("blocks.1.attn1.to_q.weight"),
                                        HasSubstr("Float[32, 31]"), HasSubstr("Float[32, 32]")));
}

TEST(BadBundle_NewerFormat, SaysBothVersions) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["format_version"] = 7; });
  EXPECT_THAT(load_error(bundle), AllOf(HasSubstr("format version 7"), HasSubstr("up to 1")));
}

TEST(BadBundle_WrongSignature, SaysExpectedAndFound) {
  const BundleCopy bundle("tiny-wan");
  std::filesystem::copy_file(bundle.path() / "code/time.float32.pt",
                             bundle.path() / "code/embed.float32.pt",
                             std::filesystem::copy_options::overwrite_existing);
  bundle.update_hash("embed", "float32");
  EXPECT_THAT(load_error(bundle),
              AllOf(HasSubstr("code/embed.float32.pt"),
                    HasSubstr("expected the method forward(inputs: tuple, grid: tensor) -> tuple"),
                    HasSubstr("found forward(inputs: Tuple[Tensor])")));
}

TEST(BadBundle_MissingMethodOfABlock, IsNamed) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["kinds"]["block"]["stages"][2] = "mlp"; });
  EXPECT_THAT(load_error(bundle),
              AllOf(HasSubstr("mlp(hidden: tuple, modulation: tuple, context: tuple)"),
                    HasSubstr("feed_forward")));
}

TEST(BadBundle_ForbiddenOperator, IsNamed) {
  const BundleCopy bundle("tiny-wan");
  torch::jit::Module module("Embed");
  module.define(
      "def forward(self, inputs: Tuple[Tensor], grid):\n"
      "  torch.save(grid, '/nowhere/x')\n"
      "  return (inputs[0],)\n");
  module.save((bundle.path() / "code/embed.float32.pt").string());
  bundle.update_hash("embed", "float32");
  EXPECT_THAT(load_error(bundle), AllOf(HasSubstr("embed.float32.pt"), HasSubstr("'aten.save'")));
}

TEST(BadBundle_ContextsOfAnotherDepth, AreRefusedWhenTheyCome) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["experts"][0]["blocks"].erase(2); });
  const auto loaded = Bundle::load(Bundle::open(bundle.path()), {});
  const LatentShape shape{.channels = 16, .frames = 1, .height = 2, .width = 2};
  const std::string message = message_of<InputError>([&] {
    (void)loaded->denoiser().conditions(at::zeros({1, 32, 32}), shape);
  });
  EXPECT_THAT(message, AllOf(HasSubstr("conditions.float32.pt"), HasSubstr("3 contexts"),
                             HasSubstr("2 blocks")));
}

TEST(BadBundle_StreamOfAnotherWidth, IsRefusedWhenItComes) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["streams"][0]["dim"] = 64; });
  const auto loaded = Bundle::load(Bundle::open(bundle.path()), {});
  const Denoiser& denoiser = loaded->denoiser();
  const LatentShape shape{.channels = 16, .frames = 1, .height = 2, .width = 2};
  const BranchContext context = denoiser.conditions(at::zeros({1, 32, 32}), shape);
  const Modulation modulation = denoiser.modulation({.timestep = 500, .guidance = {}}, 1);
  const auto pass = denoiser.begin(context, at::zeros(shape.sizes(1)), modulation);
  EXPECT_THAT(message_of<InputError>([&] { (void)pass->embed(); }), HasSubstr("[1, 1, 32]"));
}

TEST(BadBundle_PartsLeftOut, NeedNoFiles) {
  const BundleCopy bundle("tiny-wan");
  const Manifest manifest = Bundle::open(bundle.path());
  std::filesystem::remove(bundle.path() / "code/decoder.float32.pt");
  std::filesystem::remove(bundle.path() / "code/text_encoder.float32.pt");
  LoadOptions options;
  options.with_decoder = false;
  options.with_text_encoder = false;
  const auto loaded = Bundle::load(manifest, options);
  EXPECT_EQ(loaded->video_decoder(), nullptr);
  EXPECT_EQ(loaded->text_encoder(), nullptr);
  options.with_denoiser = false;
  EXPECT_THROW((void)Bundle::load(manifest, options)->denoiser(), InternalError);
}

}  // namespace
}  // namespace bw
