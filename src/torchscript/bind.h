// Gives a module the weights that its archive left out. Read safetensors.h for where they come
// from.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <set>
#include <string>

#include "kernels/linear.h"
#include "torchscript/device_copies.h"
#include "torchscript/safetensors.h"

namespace bw {

struct WeightBinding {
  const WeightSet& weights;
  std::string prefix;
  // Paths of the parameters that are bound in another form, and which.
  std::set<std::string> prepared;
  WeightForm form = WeightForm::kPacked;
  // Where the parameters go; null: they stay on the CPU.
  DeviceCopies* copies = nullptr;
};

// A copy of `code` whose parameters on the meta device are the tensors `prefix + path` of
// `weights`: used where they are mapped when dtype and form agree; converted, prepared or copied
// to the device otherwise. Other parameters and all buffers stay what they are. Throws InputError
// naming archive, tensor, expected and found.
[[nodiscard]] torch::jit::Module bind_weights(const torch::jit::Module& code,
                                              const WeightBinding& binding,
                                              const std::string& archive);

}  // namespace bw
