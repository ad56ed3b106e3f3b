// Prompt → text embedding, and what the encoder reads from it. Read manifest.h (TextPipeline) for
// the parameters, prompt_words.h for what it has never read.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/manifest.h"

namespace bw {

class WeightSet;
struct Execution;

// A prompt as the model sees it.
struct TokenizedPrompt {
  std::vector<std::int64_t> ids;  // without padding, with the end mark
  std::int64_t cut_tokens = 0;    // tokens that did not fit
  std::string cut_text;           // what they say, cleaned
  std::string cleaned;            // the prompt after cleaning and template, whole
};

// Cleaning, template and sentencepiece. Cheap: needs neither code nor weights of the bundle.
class Tokenizer {
 public:
  // Throws InputError when the file is no sentencepiece model, or has no end mark and the manifest
  // wants one.
  explicit Tokenizer(const Manifest& manifest);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Any UTF-8 text of any length, also the empty one.
  [[nodiscard]] TokenizedPrompt tokenize(std::string_view prompt) const;
  [[nodiscard]] std::int64_t max_tokens() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

struct TextEmbedding {
  at::Tensor embedding;  // [1,T,C] in the run's dtype, on its device
  TokenizedPrompt tokens;
};

// Thread-safe; encode() holds a c10::InferenceMode.
class TextEncoder {
 public:
  TextEncoder(const Manifest& manifest, const Execution& execution, const WeightSet& weights);
  ~TextEncoder();
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;

  [[nodiscard]] const Tokenizer& tokenizer() const;
  [[nodiscard]] TextEmbedding encode(std::string_view prompt) const;
  // One tensor of logits [classes + 1] f32 per entry of the manifest's text.attributes; the last
  // class stands for "not mentioned". Empty when the bundle has none. Throws InputError when the
  // code returns anything else.
  [[nodiscard]] std::vector<at::Tensor> attributes(std::string_view prompt) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace bw
