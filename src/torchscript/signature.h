// Methods of an archive with the signatures that docs/bundle-format.md lays down.
// Read bundle/block.h for the signatures of a block.
#pragma once

#include <torch/csrc/jit/api/method.h>
#include <torch/csrc/jit/api/module.h>

#include <string>
#include <string_view>
#include <vector>

namespace bw {

// What a function takes or returns. `kTuple` is a tuple of one or more tensors.
enum class ValueKind {
  kTensor,
  kTuple,
  kTupleOfTuples,   // one or more tuples
  kTuplePair,       // (tuple, tuple)
  kTensorAndTuple,  // (tensor, tuple)
  kThreeTensors,    // (tensor, tensor, tensor)
};

struct ArgumentSpec {
  std::string_view name;
  ValueKind kind = ValueKind::kTensor;
};

struct MethodSpec {
  std::string name;
  std::vector<ArgumentSpec> arguments;  // without self
  ValueKind result = ValueKind::kTensor;
};

// "step(latent: tensor, caches: tuple) -> (tensor, tuple)"
[[nodiscard]] std::string to_string(const MethodSpec& spec);

// The method of that name. Throws InputError naming the archive, the signature expected and the one
// found.
[[nodiscard]] torch::jit::Method find_method(const torch::jit::Module& module,
                                             const MethodSpec& spec, const std::string& archive);

}  // namespace bw
