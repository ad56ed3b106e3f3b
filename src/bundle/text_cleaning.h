// How a prompt is cleaned before it is cut into tokens. Read text_encoder.h for the rest of the
// way.
#pragma once

#include <string>
#include <string_view>

#include "bundle/manifest.h"

namespace bw {

// The character of valid UTF-8 that begins at `at`, which moves behind it.
[[nodiscard]] char32_t take_character(std::string_view text, std::size_t& at);

// `text` must be UTF-8.
//   none        as it is
//   whitespace  runs of Unicode white space become one space, none at the ends (Python: "
//   ".join(text.split())) lowercase   the same in lower case, by simple case mapping, one character
//   for one
// No Unicode normalisation here: sentencepiece models bring their own.
[[nodiscard]] std::string clean_text(std::string_view text, Cleaning cleaning);

}  // namespace bw
