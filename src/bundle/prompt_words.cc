#include "bundle/prompt_words.h"

#include <algorithm>

#include "base/check.h"
#include "base/files.h"
#include "bundle/text_cleaning.h"

namespace bw {
namespace {

constexpr char32_t kApostrophe =
    0x2019;  // the typographic one; a plain one is the same to a reader

bool is_letter(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  // Latin-1, general and CJK punctuation with their white space.
  return c >= 0xC0 && !(c >= 0x2000 && c < 0x2070) && !(c >= 0x3000 && c < 0x3040);
}

bool is_joint(char32_t c) { return c == '-' || c == '\'' || c == kApostrophe; }

// The runs of letters; with `joined`, a single joint between two letters belongs to the run.
std::vector<std::string> runs(std::string_view text, bool joined) {
  std::vector<std::string> result;
  std::string word;
  std::string joint;  // seen behind the word, taken when a letter follows
  const auto finish = [&] {
    if (!word.empty()) result.push_back(word);
    word.clear();
    joint.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = take_character(text, at);
    const std::string_view character = text.substr(begin, at - begin);
    if (is_letter(c)) {
      word += joint;
      word += character;
      joint.clear();
    } else if (joined && is_joint(c) && !word.empty() && joint.empty()) {
      joint = character;
    } else {
      finish();
    }
  }
  finish();
  return result;
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  BW_CHECK(is_valid_utf8(text));
  return runs(text, true);
}

std::vector<std::string> unknown_words(std::string_view prompt, const TextPipeline& pipeline) {
  BW_CHECK(!pipeline.words.empty(), "the bundle lists no words");
  const auto known = [&](const std::string& word) {
    return std::ranges::binary_search(pipeline.words, word);
  };
  std::vector<std::string> result;
  for (const std::string& word : split_words(clean_text(prompt, pipeline.cleaning))) {
    if (known(word) || std::ranges::all_of(runs(word, false), known)) continue;
    if (std::ranges::find(result, word) == result.end()) result.push_back(word);
  }
  return result;
}

}  // namespace bw
