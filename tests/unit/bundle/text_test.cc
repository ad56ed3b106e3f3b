#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "bundle/bundle.h"
#include "bundle/text_cleaning.h"
#include "unit/bundle/bundle_copy.h"

namespace bw {
namespace {

using testing::bundle_path;
using testing::BundleCopy;
using ::testing::HasSubstr;
using testing::message_of;

struct CleaningRow {
  const char* reason;
  Cleaning cleaning;
  std::string text;
  std::string wanted;  // what Python's split, join and lower make of it
};

TEST(CleanText_Table, IsWhatPythonDoes) {
  const std::vector<CleaningRow> table = {
      {"nothing", Cleaning::kNone, "  A  b\n", "  A  b\n"},
      {"empty", Cleaning::kWhitespace, "", ""},
      {"only blanks", Cleaning::kWhitespace, " \t\n", ""},
      {"runs and ends", Cleaning::kWhitespace, "\t a \n\n b  C ", "a b C"},
      {"blanks beyond ASCII: no-break, em, ideographic", Cleaning::kWhitespace,
       "\xC2\xA0"
       "a\xE2\x80\x83\xE3\x80\x80"
       "b",
       "a b"},
      {"a zero-width space is none", Cleaning::kWhitespace, "a\xE2\x80\x8B", "a\xE2\x80\x8B"},
      {"lower case too", Cleaning::kLowercase, " A  RED Fox ", "a red fox"},
      {"Latin, Greek, Cyrillic", Cleaning::kLowercase, "\xC3\x84 \xCE\xA9 \xD0\x96",
       "\xC3\xA4 \xCF\x89 \xD0\xB6"},
      {"four bytes", Cleaning::kLowercase, "\xF0\x9F\xA6\x8A X", "\xF0\x9F\xA6\x8A x"},
      {"three bytes", Cleaning::kLowercase, "\xE6\x97\xA5X", "\xE6\x97\xA5x"},
  };
  for (const CleaningRow& row : table) {
    EXPECT_EQ(clean_text(row.text, row.cleaning), row.wanted) << row.reason;
  }
}

TEST(Tokenizer_EmptyText, IsOneEndMark) {
  const Tokenizer tokenizer(read_manifest(bundle_path("tiny-wan")));
  const TokenizedPrompt prompt = tokenizer.tokenize("");
  EXPECT_EQ(prompt.ids.size(), 1U);
  EXPECT_EQ(prompt.cut_tokens, 0);
}

TEST(Tokenizer_LongPrompt, IsCutAndSaysWhat) {
  const Tokenizer tokenizer(read_manifest(bundle_path("tiny-wan")));
  std::string text;
  while (text.size() < 10'000) text += "a red fox \xC3\xBC runs ";
  const TokenizedPrompt prompt = tokenizer.tokenize(text);
  ASSERT_EQ(std::ssize(prompt.ids), tokenizer.max_tokens());
  EXPECT_EQ(prompt.ids.back(), tokenizer.tokenize("").ids.back());
  EXPECT_GT(prompt.cut_tokens, 1000);
  EXPECT_TRUE(is_valid_utf8(prompt.cut_text));
  EXPECT_TRUE(prompt.cleaned.ends_with(prompt.cut_text));
  // What is kept and what is cut is the whole prompt: the kept part alone is not cut and gives the
  // same tokens.
  const std::string kept = prompt.cleaned.substr(0, prompt.cleaned.size() - prompt.cut_text.size());
  const TokenizedPrompt again = tokenizer.tokenize(kept);
  EXPECT_EQ(again.cut_tokens, 0);
  EXPECT_EQ(again.ids.size(), prompt.ids.size());
}

TEST(Tokenizer_Template, SurroundsThePrompt) {
  const BundleCopy bundle("tiny-wan");
  bundle.edit_manifest([](Json& manifest) { manifest["text"]["template"] = "<{}> slow"; });
  const Tokenizer tokenizer(read_manifest(bundle.path()));
  EXPECT_EQ(tokenizer.tokenize(" a  {} fox ").cleaned, "<a {} fox> slow");
}

TEST(Tokenizer_NoModel, IsRefused) {
  const BundleCopy bundle("tiny-wan");
  write_file(bundle.path() / "tokenizer.model", "no model");
  const Manifest manifest = read_manifest(bundle.path());
  EXPECT_THAT(message_of<InputError>([&] { (void)Tokenizer(manifest); }),
              HasSubstr("tokenizer.model: is no"));
}

// See Note: [FLAGS_minloglevel] in src/bundle/sources.cmake.
TEST(Linking_SharedVariable, BelongsToSentencePiece) {
  Dl_info owner{};
  void* variable = ::dlsym(RTLD_DEFAULT, "FLAGS_minloglevel");
  ASSERT_NE(variable, nullptr);
  ASSERT_NE(::dladdr(variable, &owner), 0);
  EXPECT_THAT(owner.dli_fname, HasSubstr("sentencepiece"));
}

TEST(TextEncoder_Trim, ZeroesThePadding) {
  const auto bundle = Bundle::load(Bundle::open(bundle_path("tiny-wan")), {});
  const TextEmbedding text = bundle->text_encoder()->encode("a red fox");
  const auto used = static_cast<std::int64_t>(text.tokens.ids.size());
  const auto padding = text.embedding.narrow(1, used, text.embedding.size(1) - used);
  EXPECT_EQ(padding.abs().max().item<double>(), 0.0);
  EXPECT_GT(text.embedding.narrow(1, 0, used).abs().min().item<double>(), 0.0);
}

}  // namespace
}  // namespace bw
