#include "bundle/text_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <sstream>

#include "base/error.h"
#include "bundle/code_library.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {

struct TextEncoder::Impl {
  Tokenizer tokenizer;
  TextPipeline pipeline;
  std::vector<std::int64_t> expected;  // shape of the embedding
  at::ScalarType dtype = at::kFloat;
  c10::Device device = c10::Device(c10::kCPU);
  std::string place;
  torch::jit::Method forward;
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
  impl_.reset(new Impl{
      .tokenizer = std::move(tokenizer),
      .pipeline = *manifest.text,
      .expected = {1, manifest.text_tokens, manifest.text_dim},
      .dtype = execution.dtype,
      .device = execution.device(),
      .place = place,
      .forward = find_method(module, {"forward", {kIds, kMask}, ValueKind::kTensor}, place)});
}

TextEncoder::~TextEncoder() = default;

const Tokenizer& TextEncoder::tokenizer() const { return impl_->tokenizer; }

TextEmbedding TextEncoder::encode(std::string_view prompt) const {
  const c10::InferenceMode guard;
  TextEmbedding result;
  result.tokens = impl_->tokenizer.tokenize(prompt);
  const auto used = static_cast<std::int64_t>(result.tokens.ids.size());
  at::Tensor ids = at::full({1, impl_->pipeline.max_tokens}, impl_->pipeline.pad_id, at::kLong);
  at::Tensor mask = at::zeros_like(ids);
  ids.narrow(1, 0, used).copy_(at::tensor(result.tokens.ids, at::kLong).unsqueeze(0));
  mask.narrow(1, 0, used).fill_(1);
  ids = ids.to(impl_->device);
  mask = mask.to(impl_->device);
  at::Tensor embedding = call(impl_->forward, {ids, mask}, impl_->place).toTensor();
  if (embedding.sizes() != at::IntArrayRef(impl_->expected)) {
    std::ostringstream message;
    message << impl_->place << ": the text embedding is " << embedding.sizes() << "; expected "
            << at::IntArrayRef(impl_->expected) << " (text_tokens, text_dim)";
    throw InputError(message.str());
  }
  // Wan cuts the embedding to the true length and pads with zeros, which the model then attends to.
  if (impl_->pipeline.trim) {
    embedding = at::where(mask.unsqueeze(-1).to(at::kBool), embedding, at::zeros_like(embedding));
  }
  result.embedding = embedding.to(impl_->dtype).contiguous();
  return result;
}

}  // namespace bw
