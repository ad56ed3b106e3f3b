#include "bundle/block.h"

#include "base/check.h"
#include "kernels/operators.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {
namespace {

constexpr ArgumentSpec kHidden{"hidden", ValueKind::kTuple};
constexpr ArgumentSpec kModulation{"modulation", ValueKind::kTuple};
constexpr ArgumentSpec kContext{"context", ValueKind::kTuple};
constexpr ArgumentSpec kOutput{"output", ValueKind::kTuple};
constexpr ArgumentSpec kGate{"gate", ValueKind::kTuple};
constexpr ArgumentSpec kAttended{"attended", ValueKind::kTensor};

StageResult to_result(const c10::IValue& value) {
  const auto& pair = value.toTupleRef().elements();
  return {.output = from_tuple(pair[0]), .gate = from_tuple(pair[1])};
}

}  // namespace

Block::Block(const BlockKind& kind, const BlockEntry& entry, CodeLibrary& code, bool int8)
    : place_(code.place(kind.code)), forward_(nullptr, nullptr), probe_(nullptr, nullptr) {
  const torch::jit::Module module =
      int8 ? code.bound_int8(kind.code, entry.prefix) : code.bound(kind.code, entry.prefix);
  const auto method = [&](const MethodSpec& spec) { return find_method(module, spec, place_); };
  forward_ = method({"forward", {kHidden, kModulation, kContext}, ValueKind::kTuple});
  probe_ = method({"probe", {kHidden, kModulation}, ValueKind::kTensor});
  for (const std::string& stage : kind.stages) {
    stages_.push_back(
        {.run = method({stage, {kHidden, kModulation, kContext}, ValueKind::kTuplePair}),
         .add = method({stage + "_add", {kHidden, kOutput, kGate}, ValueKind::kTuple}),
         .gate = method({stage + "_gate", {kModulation}, ValueKind::kTuple})});
    // As it is means with the attention of its own code.
    if (stage != kind.attention || !code.execution().rewrite) continue;
    attention_ = Attention{
        .stage = stages_.size() - 1,
        .qkv = method({"qkv", {kHidden, kModulation, kContext}, ValueKind::kThreeTensors}),
        .out = method({"attention_out", {kAttended, kModulation}, ValueKind::kTuplePair})};
  }
}

Hidden Block::forward(const Hidden& hidden, const BlockInputs& inputs) const {
  return from_tuple(call(forward_, {to_tuple(hidden), inputs.modulation, inputs.context}, place_));
}

at::Tensor Block::probe(const Hidden& hidden, const BlockInputs& inputs) const {
  return call(probe_, {to_tuple(hidden), inputs.modulation}, place_).toTensor();
}

StageResult Block::attend_stage(const Hidden& hidden, const BlockInputs& inputs) const {
  const std::vector<at::Tensor> parts = from_tuple(
      call(attention_->qkv, {to_tuple(hidden), inputs.modulation, inputs.context}, place_));
  const at::Tensor attended = attention_operator(parts[0], parts[1], parts[2]);
  return to_result(call(attention_->out, {attended, inputs.modulation}, place_));
}

StageResult Block::run_stage(std::size_t stage, const Hidden& hidden,
                             const BlockInputs& inputs) const {
  BW_CHECK(stage < stages_.size());
  if (attention_ && attention_->stage == stage) return attend_stage(hidden, inputs);
  return to_result(
      call(stages_[stage].run, {to_tuple(hidden), inputs.modulation, inputs.context}, place_));
}

Hidden Block::add_stage(std::size_t stage, const Hidden& hidden, const StageResult& result) const {
  BW_CHECK(stage < stages_.size());
  return from_tuple(call(stages_[stage].add,
                         {to_tuple(hidden), to_tuple(result.output), to_tuple(result.gate)},
                         place_));
}

Hidden Block::gate(std::size_t stage, const BlockInputs& inputs) const {
  BW_CHECK(stage < stages_.size());
  return from_tuple(call(stages_[stage].gate, {inputs.modulation}, place_));
}

Hidden Block::run(const Hidden& hidden, const BlockInputs& inputs) const {
  if (!attention_) return forward(hidden, inputs);
  Hidden current = hidden;
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    current = add_stage(stage, current, run_stage(stage, current, inputs));
  }
  return current;
}

}  // namespace bw
