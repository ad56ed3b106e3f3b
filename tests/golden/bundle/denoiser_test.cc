// Replays the tensors that the original models computed (models/export/golden.py): blocks, probes,
// predictions.
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

using Tensors = std::map<std::string, at::Tensor>;

// Where an example's goldens are, and which row of its batch is replayed.
struct Place {
  const Tensors& golden;
  std::string example;  // "0."
  std::int64_t row = 0;
  double tolerance = testing::kTolerance;

  [[nodiscard]] bool has(const std::string& name) const { return golden.contains(example + name); }
  [[nodiscard]] at::Tensor row_of(const std::string& name) const {
    return golden.at(example + name).narrow(0, row, 1);
  }
};

// Each block starts from the golden output of the one before, so that an error is found where it is
// made.
void replay(const Denoiser& denoiser, const Place& at) {
  const at::Tensor latent = at.row_of("latent");
  const LatentShape shape{latent.size(1), latent.size(2), latent.size(3), latent.size(4)};
  const BranchContext context = denoiser.conditions(at.row_of("text"), shape);
  const double t = at.golden.at(at.example + "t")[at.row].item<double>();
  const auto pass =
      denoiser.begin(context, latent, denoiser.modulation({.timestep = t, .guidance = {}}, 1));
  Hidden hidden = pass->embed();
  for (std::size_t block = 0; block < pass->blocks().size(); ++block) {
    const std::string number = std::to_string(block);
    if (at.has("probe." + number)) {
      expect_close(pass->probe(block, hidden), at.row_of("probe." + number), "probe" + number,
                   at.tolerance);
    }
    hidden = pass->run_block(block, hidden);
    for (std::size_t stream = 0; stream < hidden.size(); ++stream) {
      const at::Tensor golden = at.row_of("block." + number + "." + std::to_string(stream));
      expect_close(hidden[stream], golden, "block" + number + "_" + std::to_string(stream),
                   at.tolerance);
      hidden[stream] = golden;
    }
  }
  expect_close(pass->head(hidden), at.row_of("prediction"), "prediction", at.tolerance);
}

// The whole evaluation by itself, errors adding up over the blocks.
void replay_whole(const Denoiser& denoiser, const Place& at) {
  const at::Tensor latent = at.row_of("latent");
  const LatentShape shape{latent.size(1), latent.size(2), latent.size(3), latent.size(4)};
  const double t = at.golden.at(at.example + "t")[at.row].item<double>();
  const auto pass = denoiser.begin(denoiser.conditions(at.row_of("text"), shape), latent,
                                   denoiser.modulation({.timestep = t, .guidance = {}}, 1));
  Hidden hidden = pass->embed();
  for (std::size_t block = 0; block < pass->blocks().size(); ++block) {
    hidden = pass->run_block(block, hidden);
  }
  expect_close(pass->head(hidden), at.row_of("prediction"), "whole", at.tolerance);
}

struct Mode {
  const char* name;
  bool rewrite;
  bool int8;
  double tolerance;  // of one block
  double whole;      // of an evaluation, which gathers the blocks' errors
};

constexpr Mode kModes[] = {
    {"rewritten", true, false, testing::kTolerance, testing::kTolerance},
    {"as_it_is", false, false, testing::kTolerance, testing::kTolerance},
    {"int8", true, true, 2e-2, 5e-2},  // weights and activations of 8 bits, in up to 12 blocks
};

void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

class DenoiserGolden : public ::testing::TestWithParam<std::tuple<const char*, Mode>> {};

TEST_P(DenoiserGolden, BlocksProbesPrediction_MatchTheOriginal) {
  const auto& [folder, mode] = GetParam();
  const std::filesystem::path path = std::filesystem::path(BW_SOURCE_DIR) / folder;
  const auto bundle =
      Bundle::load(Bundle::open(path), {.rewrite = mode.rewrite, .int8 = mode.int8});
  const c10::InferenceMode guard;
  const Tensors golden = read_safetensors(path / "golden" / "denoiser.safetensors").tensors;
  int examples = 0;
  for (int i = 0; golden.contains(std::to_string(i) + ".latent"); ++i) {
    const std::string example = std::to_string(i) + ".";
    for (std::int64_t row = 0; row < golden.at(example + "latent").size(0); ++row) {
      SCOPED_TRACE("example " + example + " row " + std::to_string(row));
      replay(bundle->denoiser(), {golden, example, row, mode.tolerance});
      replay_whole(bundle->denoiser(), {golden, example, row, mode.whole});
      ++examples;
    }
  }
  EXPECT_GE(examples, 1);
}

// A model with its blocks in both forms has the blocks of the model in int8 and those of the other.
TEST(DenoiserInt8Variant, Blocks_AreThoseOfTheModelInInt8) {
  const std::filesystem::path path =
      std::filesystem::path(BW_SOURCE_DIR) / "tests/data/bundles/tiny-wan";
  const c10::InferenceMode guard;
  const Tensors golden = read_safetensors(path / "golden" / "denoiser.safetensors").tensors;
  const Place at{golden, "0.", 0};
  const auto load = [&](LoadOptions options) { return Bundle::load(Bundle::open(path), options); };
  const auto begin = [&](const Bundle& bundle) {
    const at::Tensor latent = at.row_of("latent");
    const LatentShape shape{latent.size(1), latent.size(2), latent.size(3), latent.size(4)};
    return bundle.denoiser().begin(
        bundle.denoiser().conditions(at.row_of("text"), shape), latent,
        bundle.denoiser().modulation({.timestep = 500, .guidance = {}}, 1));
  };
  const auto plain = load({}), quantised = load({.int8 = true}),
             both = load({.int8_variant = true});
  const auto in_full = begin(*plain), in_int8 = begin(*quantised), mixed = begin(*both);
  Hidden hidden = in_full->embed();
  for (std::size_t block = 0; block < in_full->blocks().size(); ++block) {
    const Hidden exact = in_full->run_block(block, hidden);
    const Hidden coarse = in_int8->run_block(block, hidden);
    for (std::size_t stream = 0; stream < exact.size(); ++stream) {
      EXPECT_TRUE(at::equal(mixed->run_block(block, hidden)[stream], exact[stream])) << block;
      EXPECT_TRUE(at::equal(mixed->run_block_int8(block, hidden)[stream], coarse[stream])) << block;
      EXPECT_FALSE(at::equal(exact[stream], coarse[stream])) << block;
    }
    hidden = exact;
  }
}

INSTANTIATE_TEST_SUITE_P(Bundles, DenoiserGolden,
                         ::testing::Combine(::testing::Values("tests/data/bundles/tiny-wan",
                                                              "tests/data/bundles/synthetic",
                                                              "models/default/bundle"),
                                            ::testing::ValuesIn(kModes)));

}  // namespace
}  // namespace bw
