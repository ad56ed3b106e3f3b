// What a bundle's text encoder reads: that it is asked for, checked, and may be absent.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/script.h>

#include "base/error.h"
#include "bundle/bundle.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using ::testing::AllOf;
using testing::bundle_path;
using testing::BundleCopy;
using ::testing::HasSubstr;
using testing::message_of;

const LoadOptions kTextOnly{.dtype = at::kFloat, .with_denoiser = false, .with_decoder = false};

std::vector<at::Tensor> read(const std::filesystem::path& bundle, const char* prompt) {
  return Bundle::load(Bundle::open(bundle), kTextOnly)->text_encoder()->attributes(prompt);
}

// An encoder that brings its own weights and returns what `result` says of text [1,32,32].
void replace_code(const BundleCopy& bundle, const std::string& result) {
  torch::jit::Module module("Text");
  module.define(
      "def forward(self, ids, mask):\n"
      "  return torch.zeros([1, 32, 32])\n"
      "def attributes(self, text):\n"
      "  return " +
      result + "\n");
  module.save((bundle.path() / "code/text_encoder.float32.pt").string());
  bundle.update_hash("text_encoder", "float32");
}

TEST(TextAttributes_TinyWan, AreOnePerEntryWithOneClassMore) {
  const Manifest manifest = read_manifest(bundle_path("tiny-wan"));
  const std::vector<at::Tensor> logits = read(bundle_path("tiny-wan"), "a red fox");
  ASSERT_EQ(logits.size(), 2U);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    EXPECT_EQ(logits[i].dim(), 1);
    EXPECT_EQ(logits[i].numel(), std::ssize(manifest.text->attributes[i].classes) + 1);
    EXPECT_EQ(logits[i].scalar_type(), at::kFloat);
  }
}

TEST(TextAttributes_AnyText, NeverFails) {
  for (const char* prompt : {"", "   ", "\U0001F98A \u732b", "zxqv zxqv"}) {
    EXPECT_EQ(read(bundle_path("tiny-wan"), prompt).size(), 2U) << prompt;
  }
}

TEST(TextAttributes_NotListed, AreNone) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["text"].erase("attributes"); });
  EXPECT_TRUE(read(bundle.path(), "a red fox").empty());
}

TEST(TextAttributes_NoMethod, IsRefusedAtLoad) {
  const BundleCopy bundle("tiny-wan");
  torch::jit::Module module("Text");
  module.define("def forward(self, ids, mask):\n  return torch.zeros([1, 32, 32])\n");
  module.save((bundle.path() / "code/text_encoder.float32.pt").string());
  bundle.update_hash("text_encoder", "float32");
  EXPECT_THAT(
      message_of<InputError>([&] { (void)Bundle::load(Bundle::open(bundle.path()), kTextOnly); }),
      AllOf(HasSubstr("text_encoder.float32.pt"),
            HasSubstr("expected the method attributes(text: tensor) -> tuple; found forward")));
}

TEST(TextAttributes_BadResult, IsRefusedSayingWhatWasExpected) {
  struct Row {
    const char* result;
    const char* message;
  };
  const std::vector<Row> table = {
      {"(torch.zeros([1, 17]),)", "returned 1 tensors; text.attributes of the manifest has 2"},
      {"(torch.zeros([1, 16]), torch.zeros([1, 5]))", "'subject' is [1, 16]; expected [1, 17]"},
      {"(torch.zeros([1, 17]), torch.zeros([5]))", "'light' is [5]; expected [1, 5]"},
      {"(torch.zeros([1, 17]), torch.zeros([1, 5]) / 0)", "'light' are not finite"},
  };
  for (const Row& row : table) {
    const BundleCopy bundle("tiny-wan");
    replace_code(bundle, row.result);
    EXPECT_THAT(message_of<InputError>([&] { (void)read(bundle.path(), "a red fox"); }),
                AllOf(HasSubstr("text_encoder.float32.pt: attributes()"), HasSubstr(row.message)));
  }
}

}  // namespace
}  // namespace bw
