#include "run/prompt_reading.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <tuple>

#include "base/check.h"
#include "bundle/prompt_words.h"

namespace bw {
namespace {

Json value_to_json(const AttributeValue& value) {
  return {{"value", value.value ? Json(*value.value) : Json(nullptr)},
          {"probability", value.probability}};
}

}  // namespace

AttributeReading read_attribute(const PromptAttribute& attribute, const at::Tensor& logits) {
  const c10::InferenceMode guard;
  BW_CHECK(logits.dim() == 1 && logits.size(0) == std::ssize(attribute.classes) + 1);
  const auto best = logits.to(at::kDouble).softmax(0).topk(2);  // probabilities, classes
  const auto value = [&](std::int64_t rank) {
    const auto index = static_cast<std::size_t>(std::get<1>(best)[rank].item<std::int64_t>());
    AttributeValue result{std::nullopt, std::get<0>(best)[rank].item<double>()};
    if (index < attribute.classes.size()) result.value = attribute.classes[index];
    return result;
  };
  return {attribute.name, value(0), value(1)};
}

PromptReading read_prompt(const Bundle& model, std::string_view prompt) {
  BW_CHECK(model.text_encoder() != nullptr);
  const TextPipeline& pipeline = *model.manifest().text;
  const TokenizedPrompt tokens = model.text_encoder()->tokenizer().tokenize(prompt);
  PromptReading reading{tokens.cleaned, tokens.cut_tokens, tokens.cut_text, {}, {}};
  const std::vector<at::Tensor> logits = model.text_encoder()->attributes(prompt);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    reading.attributes.push_back(read_attribute(pipeline.attributes[i], logits[i]));
  }
  if (!pipeline.words.empty()) reading.unknown_words = unknown_words(prompt, pipeline);
  return reading;
}

Json reading_to_json(const PromptReading& reading) {
  Json attributes = Json::array();
  for (const AttributeReading& attribute : reading.attributes) {
    Json row = {{"name", attribute.name}};
    row.update(value_to_json(attribute.best));
    row["unsure"] = attribute.is_unsure();
    row["next"] = value_to_json(attribute.next);
    attributes.push_back(row);
  }
  return {{"prompt", reading.prompt},
          {"cut_tokens", reading.cut_tokens},
          {"cut_text", reading.cut_text},
          {"attributes", attributes.empty() ? Json(nullptr) : attributes},
          {"unsure_below", kUnsureBelow},
          {"unknown_words", reading.unknown_words ? Json(*reading.unknown_words) : Json(nullptr)}};
}

}  // namespace bw
