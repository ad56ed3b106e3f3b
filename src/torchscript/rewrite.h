// Replaces what model families write as many small operators by the fused ones of
// kernels/operators.h, when an archive is loaded. The archives themselves stay stock ATen. Read
// rewrites.inc for the operators, graph_rewrite.h for what a rewrite is, docs/performance.md for
// what they bring.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <set>
#include <string>

namespace bw {

// How often each operator of rewrites.inc stands in the methods of one archive: by operator, zeros
// included.
using RewriteCounts = std::map<std::string, int>;

// Inlines the methods of `code` and rewrites them. What no pattern fits stays as it is. Must run
// before any method does.
RewriteCounts rewrite_graphs(const torch::jit::Module& code);

// Paths ("to_qkv.weight") of the parameters that rewritten methods use as weights of bw::linear or
// of convolutions and for nothing else, so that their memory layout is free.
[[nodiscard]] std::set<std::string> packable_weights(const torch::jit::Module& code);

}  // namespace bw
