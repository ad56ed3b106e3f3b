#include "bundle/text_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "bundle/code_library.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {

namespace {

[[noreturn]] void reject_shape(const std::string& what, const at::Tensor& found,
                               const std::vector<std::int64_t>& expected,
                               const std::string& fields) {
  std::ostringstream message;
  message << what << " is " << found.sizes() << "; expected " << at::IntArrayRef(expected) << " ("
          << fields << ")";
  throw InputError(message.str());
}

}  // namespace

struct TextEncoder::Impl {
  Tokenizer tokenizer;
  TextPipeline pipeline;
  std::vector<std::int64_t> expected;  // shape of the embedding
  at::ScalarType dtype = at::kFloat;
  c10::Device device = c10::Device(c10::kCPU);
  std::string place;
  torch::jit::Method forward;
  std::optional<torch::jit::Method> attributes;

  // ids and mask, both [1,max_tokens].
  [[nodiscard]] std::pair<at::Tensor, at::Tensor> pad(const std::vector<std::int64_t>& ids) const {
    const auto used = static_cast<std::int64_t>(ids.size());
    const at::Tensor padded = at::full({1, pipeline.max_tokens}, pipeline.pad_id, at::kLong);
    const at::Tensor mask = at::zeros_like(padded);
    padded.narrow(1, 0, used).copy_(at::tensor(ids, at::kLong).unsqueeze(0));
    mask.narrow(1, 0, used).fill_(1);
    return {padded.to(device), mask.to(device)};
  }

  // What the code makes of them, checked.
  [[nodiscard]] at::Tensor embed(const at::Tensor& ids, const at::Tensor& mask) const {
    at::Tensor embedding = call(forward, {ids, mask}, place).toTensor();
    if (embedding.sizes() != at::IntArrayRef(expected)) {
      reject_shape(place + ": the text embedding", embedding, expected, "text_tokens, text_dim");
    }
    return embedding;
  }
};

TextEncoder::TextEncoder(const Manifest& manifest, const Execution& execution,
                         const WeightSet& weights) {
  const c10::InferenceMode guard;
  constexpr ArgumentSpec kIds{"ids", ValueKind::kTensor};
  constexpr ArgumentSpec kMask{"mask", ValueKind::kTensor};
  Tokenizer tokenizer(manifest);
  CodeLibrary code(manifest, execution, weights);
  const std::string place = code.place(manifest.text_encoder);
  const torch::jit::Module module = code.bound(manifest.text_encoder, "");
  std::optional<torch::jit::Method> attributes;
  if (!manifest.text->attributes.empty()) {
    constexpr ArgumentSpec kText{"text", ValueKind::kTensor};
    attributes = find_method(module, {"attributes", {kText}, ValueKind::kTuple}, place);
  }
  impl_ = std::make_unique<const Impl>(
      Impl{.tokenizer = std::move(tokenizer),
           .pipeline = *manifest.text,
           .expected = {1, manifest.text_tokens, manifest.text_dim},
           .dtype = execution.dtype,
           .device = execution.device(),
           .place = place,
           .forward = find_method(module, {"forward", {kIds, kMask}, ValueKind::kTensor}, place),
           .attributes = std::move(attributes)});
}

TextEncoder::~TextEncoder() = default;

const Tokenizer& TextEncoder::tokenizer() const { return impl_->tokenizer; }

TextEmbedding TextEncoder::encode(std::string_view prompt) const {
  const c10::InferenceMode guard;
  TextEmbedding result;
  result.tokens = impl_->tokenizer.tokenize(prompt);
  const auto [ids, mask] = impl_->pad(result.tokens.ids);
  at::Tensor embedding = impl_->embed(ids, mask);
  // Wan cuts the embedding to the true length and pads with zeros, which the model then attends to.
  if (impl_->pipeline.trim) {
    embedding = at::where(mask.unsqueeze(-1).to(at::kBool), embedding, at::zeros_like(embedding));
  }
  result.embedding = embedding.to(impl_->dtype).contiguous();
  return result;
}

std::vector<at::Tensor> TextEncoder::attributes(std::string_view prompt) const {
  const c10::InferenceMode guard;
  if (!impl_->attributes) return {};
  const auto [ids, mask] = impl_->pad(impl_->tokenizer.tokenize(prompt).ids);
  const std::string place = impl_->place + ": attributes()";
  const std::vector<PromptAttribute>& wanted = impl_->pipeline.attributes;
  std::vector<at::Tensor> found =
      from_tuple(call(*impl_->attributes, {impl_->embed(ids, mask)}, impl_->place));
  if (found.size() != wanted.size()) {
    throw InputError(place + " returned " + std::to_string(found.size()) +
                     " tensors; text.attributes of the manifest has " +
                     std::to_string(wanted.size()) + " entries");
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::vector<std::int64_t> expected = {1, std::ssize(wanted[i].classes) + 1};
    const std::string what = place + ": the logits of '" + wanted[i].name + "'";
    if (found[i].sizes() != at::IntArrayRef(expected)) {
      reject_shape(what, found[i], expected, "batch, classes and 'not mentioned'");
    }
    if (!at::isfinite(found[i]).all().item<bool>()) throw InputError(what + " are not finite");
    found[i] = found[i].squeeze(0).to(at::kFloat);
  }
  return found;
}

}  // namespace bw
