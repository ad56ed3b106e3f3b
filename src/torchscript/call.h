// Calls methods of a bundle's code with tensors and tuples of tensors. Read signature.h for how
// methods are found.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/method.h>

#include <string>
#include <vector>

namespace bw {

[[nodiscard]] c10::IValue to_tuple(const std::vector<at::Tensor>& tensors);
// The value must be a tuple of tensors, which find_method has made sure of.
[[nodiscard]] std::vector<at::Tensor> from_tuple(const c10::IValue& value);

// Runs it. A failure inside the bundle's code is InputError, lack of memory ResourceError; both
// name the archive and the method.
[[nodiscard]] c10::IValue call(const torch::jit::Method& method, std::vector<c10::IValue> arguments,
                               const std::string& archive);

}  // namespace bw
