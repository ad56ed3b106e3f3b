// What a model understands of a prompt, for `inspect --prompt`. Read bundle/text_encoder.h for the
// logits, bundle/prompt_words.h for the words.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "bundle/bundle.h"

namespace bw {

// A reading below this probability is called unsure (docs/using.md says what was measured).
inline constexpr double kUnsureBelow = 0.9;

// One class of an attribute and its probability; no value: the prompt does not mention it.
struct AttributeValue {
  std::optional<std::string> value;
  double probability = 0;
};

struct AttributeReading {
  std::string name;
  AttributeValue best;
  AttributeValue next;  // the second most probable
  [[nodiscard]] bool is_unsure() const { return best.probability < kUnsureBelow; }
};

struct PromptReading {
  std::string prompt;  // cleaned
  std::int64_t cut_tokens = 0;
  std::string cut_text;
  std::vector<AttributeReading> attributes;               // empty: the bundle reads none
  std::optional<std::vector<std::string>> unknown_words;  // none: the bundle lists no words
};

// Softmax over logits [classes + 1], of which the two most probable are kept.
[[nodiscard]] AttributeReading read_attribute(const PromptAttribute& attribute,
                                              const at::Tensor& logits);

// `model` must have its text encoder. Any UTF-8 text, also the empty one.
[[nodiscard]] PromptReading read_prompt(const Bundle& model, std::string_view prompt);

// {"prompt", "cut_tokens", "cut_text", "attributes": […] or null, "unsure_below", "unknown_words":
// […] or null}; null: this bundle cannot tell.
[[nodiscard]] Json reading_to_json(const PromptReading& reading);

}  // namespace bw
