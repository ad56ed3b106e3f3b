#include "bundle/torchscript_denoiser.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "base/check.h"
#include "base/error.h"
#include "bundle/block.h"
#include "bundle/code_library.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {
namespace {

// A function that is no block: its archive has this one method.
struct Function {
  std::string place;
  torch::jit::Method method;

  c10::IValue operator()(std::vector<c10::IValue> arguments) const {
    return call(method, std::move(arguments), place);
  }
};

struct ExpertCode {
  Function conditions;
  Function time;
  Function embed;
  Function head;
  std::vector<BlockInfo> blocks;
};

Function load_function(CodeLibrary& code, const std::string& name, const MethodSpec& spec) {
  const std::string place = code.place(name);
  return {place, find_method(code.bound(name, ""), spec, place)};
}

ExpertCode load_expert(CodeLibrary& code, const Manifest& manifest, const Expert& expert) {
  constexpr ArgumentSpec kInputs{"inputs", ValueKind::kTuple};
  constexpr ArgumentSpec kGrid{"grid", ValueKind::kTensor};
  constexpr ArgumentSpec kHidden{"hidden", ValueKind::kTuple};
  constexpr ArgumentSpec kModulation{"modulation", ValueKind::kTuple};
  constexpr ArgumentSpec kLatent{"latent", ValueKind::kTensor};
  std::vector<BlockInfo> blocks;
  for (const BlockEntry& block : expert.blocks) {
    blocks.push_back({block.kind, manifest.kinds.at(block.kind).stages});
  }
  return {
      .conditions = load_function(code, expert.conditions.code,
                                  {"forward", {kInputs, kGrid}, ValueKind::kTupleOfTuples}),
      .time = load_function(code, expert.time.code, {"forward", {kInputs}, ValueKind::kTuplePair}),
      .embed =
          load_function(code, expert.embed.code, {"forward", {kInputs, kGrid}, ValueKind::kTuple}),
      .head = load_function(code, expert.head,
                            {"forward", {kHidden, kModulation, kLatent}, ValueKind::kTensor}),
      .blocks = std::move(blocks)};
}

// Latent coordinates (frame, row, column), row-major: int64 [F·H·W,3].
at::Tensor make_grid(const LatentShape& shape) {
  const std::vector<at::Tensor> axes =
      at::meshgrid({at::arange(shape.frames, at::kLong), at::arange(shape.height, at::kLong),
                    at::arange(shape.width, at::kLong)},
                   "ij");
  return at::stack(axes, -1).reshape({-1, 3});
}

std::string shape_text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

// The inputs of a function in the order the manifest gives.
struct Roles {
  at::Tensor latent;
  at::Tensor t;
  at::Tensor text;
  at::Tensor guidance;

  [[nodiscard]] c10::IValue tuple(const std::vector<std::string>& names) const {
    Tensors tensors;
    for (const std::string& name : names) {
      const at::Tensor& tensor = name == "latent" ? latent
                                 : name == "t"    ? t
                                 : name == "text" ? text
                                                  : guidance;
      BW_CHECK(tensor.defined(), name);
      tensors.push_back(tensor);
    }
    return to_tuple(tensors);
  }
};

}  // namespace

struct Denoiser::Impl {
  std::vector<Expert> experts;  // as the manifest lists them
  std::vector<StreamInfo> streams;
  std::int64_t text_tokens = 0;
  std::int64_t text_dim = 0;
  bool wants_guidance = false;
  at::ScalarType dtype = at::kFloat;
  c10::Device device = c10::Device(c10::kCPU);
  std::vector<ExpertCode> code;
  BlockStore blocks;
  std::optional<BlockStore> int8_blocks;  // Execution::int8_variant
};

namespace {

// Everything under the guard of the function that is called; the pass holds tensors and tuples of
// them, nothing else.
class TorchScriptPass final : public Pass {
 public:
  struct Parts {
    const ExpertCode* code = nullptr;
    const BlockStore* store = nullptr;
    const BlockStore* int8_store = nullptr;  // null: not loaded
    const std::vector<StreamInfo>* streams = nullptr;
    std::size_t expert = 0;
    c10::IValue embed_inputs;
    at::Tensor grid;
    at::Tensor latent;  // [B,C,F,H,W] in the run's dtype
    c10::IValue head_modulation;
    c10::IValue block_modulation;
    std::vector<c10::IValue> contexts;  // by block
    std::optional<AttentionForm> attention;
  };

  explicit TorchScriptPass(Parts parts) : parts_(std::move(parts)) {}

  std::span<const BlockInfo> blocks() const override { return parts_.code->blocks; }

  Hidden embed() override {
    const c10::InferenceMode guard;
    Hidden hidden = from_tuple(parts_.code->embed({parts_.embed_inputs, parts_.grid}));
    check_hidden(hidden);
    return hidden;
  }

  Hidden run_block(std::size_t block, const Hidden& hidden) override {
    const c10::InferenceMode guard;
    const AttentionScope attention(parts_.attention);
    return lease(block)->run(hidden, inputs(block));
  }

  Hidden run_block_int8(std::size_t block, const Hidden& hidden) override {
    const c10::InferenceMode guard;
    const AttentionScope attention(parts_.attention);
    BW_CHECK(parts_.int8_store != nullptr, "the model was loaded without its blocks in int8");
    return BlockLease(*parts_.int8_store, parts_.expert, block)->run(hidden, inputs(block));
  }

  at::Tensor probe(std::size_t block, const Hidden& hidden) override {
    const c10::InferenceMode guard;
    const AttentionScope attention(parts_.attention);
    return lease(block)->probe(hidden, inputs(block));
  }

  StageResult run_stage(std::size_t block, std::size_t stage, const Hidden& hidden) override {
    const c10::InferenceMode guard;
    const AttentionScope attention(parts_.attention);
    return lease(block)->run_stage(stage, hidden, inputs(block));
  }

  Hidden add_stage(std::size_t block, std::size_t stage, const Hidden& hidden,
                   const StageResult& result) override {
    const c10::InferenceMode guard;
    return lease(block)->add_stage(stage, hidden, result);
  }

  Hidden gate(std::size_t block, std::size_t stage) override {
    const c10::InferenceMode guard;
    return lease(block)->gate(stage, inputs(block));
  }

  at::Tensor head(const Hidden& hidden) override {
    const c10::InferenceMode guard;
    const at::Tensor prediction =
        parts_.code->head({to_tuple(hidden), parts_.head_modulation, parts_.latent}).toTensor();
    if (prediction.sizes() != parts_.latent.sizes()) {
      throw InputError(parts_.code->head.place + ": the prediction is " + shape_text(prediction) +
                       "; it must have the shape of the latent, " + shape_text(parts_.latent));
    }
    return prediction.to(at::kFloat);
  }

 private:
  [[nodiscard]] BlockLease lease(std::size_t block) const {
    return {*parts_.store, parts_.expert, block};
  }

  [[nodiscard]] BlockInputs inputs(std::size_t block) const {
    return {.modulation = parts_.block_modulation, .context = parts_.contexts.at(block)};
  }

  // What memory was declared by must be what comes.
  void check_hidden(const Hidden& hidden) const {
    const std::vector<StreamInfo>& streams = *parts_.streams;
    bool agrees = hidden.size() == streams.size();
    std::string found;
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      agrees = agrees && hidden[i].dim() == 3 && hidden[i].size(0) == parts_.latent.size(0) &&
               hidden[i].size(2) == streams[i].dim;
      found += (i > 0 ? ", " : "") + shape_text(hidden[i]);
    }
    if (agrees) return;
    throw InputError(parts_.code->embed.place + ": the hidden state is " + found +
                     "; the manifest's streams are [batch, tokens, dim], one for each of " +
                     std::to_string(streams.size()));
  }

  Parts parts_;
};

}  // namespace

Denoiser::Denoiser(const Manifest& manifest, const Execution& execution, const WeightSet& weights) {
  const c10::InferenceMode guard;
  auto impl = std::make_unique<Impl>();
  impl->experts = manifest.experts;
  impl->streams = manifest.streams;
  impl->text_tokens = manifest.text_tokens;
  impl->text_dim = manifest.text_dim;
  impl->wants_guidance = manifest.guidance == GuidanceKind::kDistilled;
  impl->dtype = execution.dtype;
  impl->device = execution.device();
  CodeLibrary code(manifest, execution, weights);
  for (std::size_t i = 0; i < manifest.experts.size(); ++i) {
    const Expert& expert = manifest.experts[i];
    impl->code.push_back(load_expert(code, manifest, expert));
    for (const BlockEntry& block : expert.blocks) {
      const BlockKind& kind = manifest.kinds.at(block.kind);
      impl->blocks.append(i, Block(kind, block, code, execution.int8));
      if (!execution.int8_variant) continue;
      if (!impl->int8_blocks) impl->int8_blocks.emplace();
      impl->int8_blocks->append(i, Block(kind, block, code, /*int8=*/true));
    }
  }
  impl_ = std::move(impl);
}

Denoiser::~Denoiser() = default;

at::ScalarType Denoiser::dtype() const { return impl_->dtype; }
std::size_t Denoiser::num_experts() const { return impl_->experts.size(); }
bool Denoiser::wants_guidance() const { return impl_->wants_guidance; }

std::span<const BlockInfo> Denoiser::blocks(std::size_t expert) const {
  return impl_->code.at(expert).blocks;
}

std::size_t Denoiser::expert_at(double timestep) const {
  return bw::expert_at(impl_->experts, timestep);
}

BranchContext Denoiser::conditions(const at::Tensor& text, const LatentShape& shape) const {
  const c10::InferenceMode guard;
  const bool fits = text.dim() == 3 && text.size(0) >= 1 && text.is_floating_point() &&
                    text.size(1) >= 1 && text.size(1) <= impl_->text_tokens &&
                    text.size(2) == impl_->text_dim;
  if (!fits) {
    throw InputError("the text embedding is " + shape_text(text) +
                     "; this model takes floating-point numbers [batch, 1 to " +
                     std::to_string(impl_->text_tokens) + ", " + std::to_string(impl_->text_dim) +
                     "]");
  }
  BranchContext context{.shape = shape,
                        .batch = text.size(0),
                        .text = text.to(impl_->device, impl_->dtype).contiguous(),
                        .grid = make_grid(shape).to(impl_->device),
                        .blocks = {},
                        .attention = {}};
  for (std::size_t i = 0; i < impl_->experts.size(); ++i) {
    const Roles roles{.latent = {}, .t = {}, .text = context.text, .guidance = {}};
    const ExpertCode& code = impl_->code[i];
    const c10::IValue result =
        code.conditions({roles.tuple(impl_->experts[i].conditions.inputs), context.grid});
    const auto& tuples = result.toTupleRef().elements();
    if (tuples.size() != code.blocks.size()) {
      throw InputError(code.conditions.place + ": returns " + std::to_string(tuples.size()) +
                       " contexts; the expert '" + impl_->experts[i].name + "' has " +
                       std::to_string(code.blocks.size()) + " blocks");
    }
    std::vector<Tensors>& blocks = context.blocks.emplace_back();
    for (const c10::IValue& tuple : tuples) blocks.push_back(from_tuple(tuple));
  }
  return context;
}

Modulation Denoiser::modulation(const TimeInput& time, std::int64_t batch) const {
  const c10::InferenceMode guard;
  BW_CHECK(time.guidance.has_value() == impl_->wants_guidance);
  Modulation result;
  result.expert = expert_at(time.timestep);
  const at::TensorOptions on_device = at::TensorOptions(at::kFloat).device(impl_->device);
  result.t = at::full({batch}, time.timestep, on_device);
  if (time.guidance) result.guidance = at::full({batch}, *time.guidance, on_device);
  const Roles roles{.latent = {}, .t = result.t, .text = {}, .guidance = result.guidance};
  const c10::IValue pair =
      impl_->code[result.expert].time({roles.tuple(impl_->experts[result.expert].time.inputs)});
  result.head = from_tuple(pair.toTupleRef().elements()[0]);
  result.blocks = from_tuple(pair.toTupleRef().elements()[1]);
  return result;
}

std::unique_ptr<Pass> Denoiser::begin(const BranchContext& context, const at::Tensor& latent,
                                      const Modulation& modulation) const {
  const c10::InferenceMode guard;
  BW_CHECK(latent.sizes() == at::IntArrayRef(context.shape.sizes(context.batch)));
  BW_CHECK(modulation.t.size(0) == context.batch);
  const ExpertCode& code = impl_->code.at(modulation.expert);
  TorchScriptPass::Parts parts;
  parts.code = &code;
  parts.store = &impl_->blocks;
  parts.int8_store = impl_->int8_blocks ? &*impl_->int8_blocks : nullptr;
  parts.streams = &impl_->streams;
  parts.expert = modulation.expert;
  parts.grid = context.grid;
  parts.attention = context.attention;
  parts.latent = latent.to(impl_->device, impl_->dtype).contiguous();
  const Roles roles{.latent = parts.latent,
                    .t = modulation.t,
                    .text = context.text,
                    .guidance = modulation.guidance};
  parts.embed_inputs = roles.tuple(impl_->experts[modulation.expert].embed.inputs);
  parts.head_modulation = to_tuple(modulation.head);
  parts.block_modulation = to_tuple(modulation.blocks);
  for (const Tensors& block : context.blocks.at(modulation.expert)) {
    parts.contexts.push_back(to_tuple(block));
  }
  return std::make_unique<TorchScriptPass>(std::move(parts));
}

BranchContext batch_contexts(const Denoiser& denoiser, std::span<const BranchContext> contexts) {
  const c10::InferenceMode guard;
  BW_CHECK(!contexts.empty());
  Tensors texts;
  for (const BranchContext& context : contexts) {
    BW_CHECK(context.shape == contexts.front().shape);
    texts.push_back(context.text);
  }
  // Which tensors of a context have a batch axis is the family's business, so they are made anew
  // rather than joined.
  return denoiser.conditions(at::cat(texts, 0), contexts.front().shape);
}

}  // namespace bw
