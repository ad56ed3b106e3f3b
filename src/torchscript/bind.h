// Gives a module the weights that its archive left out. Read safetensors.h for where they come
// from.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

#include "torchscript/safetensors.h"

namespace bw {

// A copy of `code` whose parameters on the meta device are the tensors `prefix + path` of
// `weights`: used where they are mapped when the dtype agrees, converted otherwise. Other
// parameters and all buffers stay what they are. Throws InputError naming archive, tensor, expected
// and found.
[[nodiscard]] torch::jit::Module bind_weights(const torch::jit::Module& code,
                                              const WeightSet& weights, const std::string& prefix,
                                              const std::string& archive);

}  // namespace bw
