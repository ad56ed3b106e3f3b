// The fused operators under the names that rewritten graphs use (bw::…). Read operators.cc for
// their schemas, torchscript/rewrite.h for who calls them.
#pragma once

namespace bw {

// Makes sure that they are registered with the dispatcher. Call before a graph that names them is
// built.
void register_operators();

}  // namespace bw
