// The words of a prompt, and those that the training's captions never used. Read text_encoder.h for
// how a prompt is encoded, docs/bundle-format.md (Words) for the rule.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundle/manifest.h"

namespace bw {

// The words of UTF-8 text in order: runs of letters and digits, joined by single hyphens or
// apostrophes. Any character that is no ASCII and no white space or punctuation of Unicode counts
// as a letter.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text);

// Words of the prompt, cleaned, that are not in `pipeline.words`, each once, in order. A joined
// word is known too when all its parts are ("well-lit"). Throws InternalError when the bundle lists
// no words.
[[nodiscard]] std::vector<std::string> unknown_words(std::string_view prompt,
                                                     const TextPipeline& pipeline);

}  // namespace bw
