// The fused operators under the names that rewritten graphs use (bw::…). Read operators.cc for
// their schemas, torchscript/rewrite.h for who calls them.
#pragma once

#include <ATen/core/Tensor.h>

namespace bw {

// Makes sure that they are registered with the dispatcher. Call before a graph that names them is
// built.
void register_operators();

// attend() of attention.h through the dispatcher: on the device of its arguments, and seen by
// profilers.
[[nodiscard]] at::Tensor attention_operator(const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v);

}  // namespace bw
