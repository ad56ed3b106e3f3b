#include "bundle/prompt_words.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace bw {
namespace {

using ::testing::ElementsAreArray;

struct WordsRow {
  const char* reason;
  const char* text;
  std::vector<std::string> wanted;
};

TEST(SplitWords_Table, CutsAtWhiteSpaceAndPunctuation) {
  const std::vector<WordsRow> table = {
      {"nothing", "", {}},
      {"only punctuation", " ,.-' !", {}},
      {"ends of a sentence", "(a fox), \"running\".", {"a", "fox", "running"}},
      {"digits are letters", "2 foxes, 4k", {"2", "foxes", "4k"}},
      {"a hyphen and an apostrophe join", "jack-o-lantern fox's", {"jack-o-lantern", "fox's"}},
      {"a typographic apostrophe joins", "fox\u2019s", {"fox\u2019s"}},
      {"at an end they do not", "-fox- 'cat'", {"fox", "cat"}},
      {"two in a row do not", "fox--cat", {"fox", "cat"}},
      {"a dash is no hyphen", "fox\u2014cat", {"fox", "cat"}},
      {"letters beyond ASCII", "f\u00fcchslein \u732b", {"f\u00fcchslein", "\u732b"}},
      {"a picture is a word that can be unknown", "a \U0001F98A runs", {"a", "\U0001F98A", "runs"}},
      {"punctuation beyond ASCII", "\u00abfox\u00bb \u201ccat\u201d\u3002", {"fox", "cat"}},
      {"an underscore joins nothing", "red_fox", {"red", "fox"}},
  };
  for (const WordsRow& row : table) {
    EXPECT_THAT(split_words(row.text), ElementsAreArray(row.wanted)) << row.reason;
  }
}

TEST(UnknownWords_Table, ListsEachOnceInOrder) {
  TextPipeline pipeline;
  pipeline.cleaning = Cleaning::kLowercase;
  pipeline.words = {"a", "fox", "in", "jack-o-lantern", "lit", "snow", "the", "well"};
  const std::vector<WordsRow> table = {
      {"all known", "A Fox in the  SNOW.", {}},
      {"nothing said", " ", {}},
      {"in order of appearance, once", "zebra the owl Zebra", {"zebra", "owl"}},
      {"a typo is unknown", "a fxo", {"fxo"}},
      {"part of a known word", "sno snows", {"sno", "snows"}},
      {"joined and listed whole", "a jack-o-lantern", {}},
      {"joined of known parts", "well-lit snow", {}},
      {"joined with an unknown part", "well-made fox's", {"well-made", "fox's"}},
      {"part of a listed joined word", "a lantern", {"lantern"}},
  };
  for (const WordsRow& row : table) {
    EXPECT_THAT(unknown_words(row.text, pipeline), ElementsAreArray(row.wanted)) << row.reason;
  }
}

TEST(UnknownWords_Case, IsKeptWhereCleaningKeepsIt) {
  TextPipeline pipeline;
  pipeline.cleaning = Cleaning::kWhitespace;
  pipeline.words = {"fox"};
  EXPECT_THAT(unknown_words("Fox fox", pipeline), ElementsAreArray({"Fox"}));
}

TEST(UnknownWords_NoList, IsTheCallersFault) {
  EXPECT_THROW((void)unknown_words("fox", TextPipeline{}), InternalError);
}

}  // namespace
}  // namespace bw
