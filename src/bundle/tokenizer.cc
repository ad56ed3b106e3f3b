#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/files.h"
#include "bundle/text_cleaning.h"
#include "bundle/text_encoder.h"

namespace bw {

struct Tokenizer::Impl {
  TextPipeline pipeline;
  sentencepiece::SentencePieceProcessor pieces;
};

namespace {

std::string fill_template(const std::string& prompt_template, const std::string& prompt) {
  std::string text = prompt_template;
  return text.replace(text.find("{}"), 2, prompt);
}

// The start of the character that holds byte `at`.
std::size_t character_start(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

Tokenizer::Tokenizer(const Manifest& manifest) {
  if (!manifest.text) throw InternalError("a tokenizer was asked of a bundle without text");
  auto impl = std::make_unique<Impl>();
  impl->pipeline = *manifest.text;
  const std::string path = (manifest.directory / impl->pipeline.tokenizer).string();
  const auto status = impl->pieces.LoadFromSerializedProto(read_file(path));
  if (!status.ok()) {
    throw InputError(path + ": is no sentencepiece model: " + status.ToString());
  }
  if (impl->pipeline.add_eos && impl->pieces.eos_id() < 0) {
    throw InputError(path + ": has no end mark, but the manifest says text.add_eos");
  }
  impl_ = std::move(impl);
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::int64_t Tokenizer::max_tokens() const { return impl_->pipeline.max_tokens; }

TokenizedPrompt Tokenizer::tokenize(std::string_view prompt) const {
  const TextPipeline& pipeline = impl_->pipeline;
  TokenizedPrompt result;
  result.cleaned = fill_template(pipeline.prompt_template, clean_text(prompt, pipeline.cleaning));
  const auto pieces = impl_->pieces.EncodeAsImmutableProto(result.cleaned);
  const std::size_t room =
      static_cast<std::size_t>(pipeline.max_tokens) - (pipeline.add_eos ? 1 : 0);
  const std::size_t total = pieces.pieces_size();
  const std::size_t kept = std::min(room, total);
  for (std::size_t i = 0; i < kept; ++i) {
    result.ids.push_back(pieces.pieces(static_cast<int>(i)).id());
  }
  if (pipeline.add_eos) result.ids.push_back(impl_->pieces.eos_id());
  if (kept < total) {
    const std::size_t begin = pieces.pieces(static_cast<int>(kept)).begin();
    result.cut_tokens = static_cast<std::int64_t>(total - kept);
    result.cut_text = result.cleaned.substr(character_start(result.cleaned, begin));
  }
  return result;
}

}  // namespace bw
