#include "torchscript/signature.h"

#include <algorithm>

#include "base/error.h"

namespace bw {
namespace {

bool is_tensor(const c10::TypePtr& type) { return type->kind() == c10::TypeKind::TensorType; }

// A tuple whose entries all satisfy `accept`.
bool is_tuple_of(const c10::TypePtr& type, bool (*accept)(const c10::TypePtr&)) {
  const auto tuple = type->cast<c10::TupleType>();
  return tuple && !tuple->elements().empty() && std::ranges::all_of(tuple->elements(), accept);
}

bool is_tuple(const c10::TypePtr& type) { return is_tuple_of(type, is_tensor); }

bool matches(const c10::TypePtr& type, ValueKind kind) {
  const auto tuple = type->cast<c10::TupleType>();
  const std::size_t size = tuple ? tuple->elements().size() : 0;
  switch (kind) {
    case ValueKind::kTensor:
      return is_tensor(type);
    case ValueKind::kTuple:
      return is_tuple(type);
    case ValueKind::kTupleOfTuples:
      return is_tuple_of(type, is_tuple);
    case ValueKind::kTuplePair:
      return size == 2 && is_tuple_of(type, is_tuple);
    case ValueKind::kTensorAndTuple:
      return size == 2 && is_tensor(tuple->elements()[0]) && is_tuple(tuple->elements()[1]);
    case ValueKind::kThreeTensors:
      return size == 3 && is_tuple(type);
  }
  return false;
}

std::string_view name_of(ValueKind kind) {
  switch (kind) {
    case ValueKind::kTensor:
      return "tensor";
    case ValueKind::kTuple:
      return "tuple";
    case ValueKind::kTupleOfTuples:
      return "tuple of tuples";
    case ValueKind::kTuplePair:
      return "(tuple, tuple)";
    case ValueKind::kTensorAndTuple:
      return "(tensor, tuple)";
    case ValueKind::kThreeTensors:
      return "(tensor, tensor, tensor)";
  }
  return "";
}

std::string describe(const c10::FunctionSchema& schema) {
  std::string text;
  for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    text += (i > 1 ? ", " : "") + argument.name() + ": " + argument.type()->annotation_str();
  }
  text = schema.name() + "(" + text + ")";
  if (schema.returns().empty()) return text;
  return text + " -> " + schema.returns().front().type()->annotation_str();
}

bool matches(const c10::FunctionSchema& schema, const MethodSpec& spec) {
  if (schema.arguments().size() != spec.arguments.size() + 1) return false;
  for (std::size_t i = 0; i < spec.arguments.size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i + 1];
    if (argument.name() != spec.arguments[i].name) return false;
    if (!matches(argument.type(), spec.arguments[i].kind)) return false;
  }
  return schema.returns().size() == 1 && matches(schema.returns().front().type(), spec.result);
}

}  // namespace

std::string to_string(const MethodSpec& spec) {
  std::string text = spec.name + "(";
  for (const ArgumentSpec& argument : spec.arguments) {
    text += (text.back() == '(' ? "" : ", ") + std::string(argument.name) + ": " +
            std::string(name_of(argument.kind));
  }
  return text + ") -> " + std::string(name_of(spec.result));
}

torch::jit::Method find_method(const torch::jit::Module& module, const MethodSpec& spec,
                               const std::string& archive) {
  const std::optional<torch::jit::Method> method = module.find_method(spec.name);
  if (!method) {
    std::string known;
    for (const torch::jit::Method& other : module.get_methods()) {
      known += (known.empty() ? "" : ", ") + other.name();
    }
    throw InputError(archive + ": expected the method " + to_string(spec) + "; found " +
                     (known.empty() ? "none" : known));
  }
  const c10::FunctionSchema& schema = method->function().getSchema();
  if (!matches(schema, spec)) {
    throw InputError(archive + ": expected the method " + to_string(spec) + "; found " +
                     describe(schema) + " (docs/bundle-format.md)");
  }
  return *method;
}

}  // namespace bw
