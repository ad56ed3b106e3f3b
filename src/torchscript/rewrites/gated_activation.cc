// GEGLU: the two halves of a projection, one multiplied by the GELU of the other (diffusers'
// GEGLU).
#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

constexpr const char* kGeglu = R"(
graph(%x, %parts, %axis, %approximate):
  %halves : Tensor[] = aten::chunk(%x, %parts, %axis)
  %value : Tensor, %gate : Tensor = prim::ListUnpack(%halves)
  %g = aten::gelu(%gate, %approximate)
  %y = aten::mul(%value, %g)
  return (%y))";

constexpr const char* kReplacement = R"(
graph(%x, %parts, %axis, %approximate):
  %activation : int = prim::Constant[value=1]()
  %y = bw::gated_activation(%x, %activation)
  return (%y))";

constexpr const char* kTanhReplacement = R"(
graph(%x, %parts, %axis, %approximate):
  %activation : int = prim::Constant[value=2]()
  %y = bw::gated_activation(%x, %activation)
  return (%y))";

}  // namespace

std::vector<Rewrite> gated_activation_rewrites() {
  const auto form = [](const char* wanted) {
    return [wanted](const MatchedValues& match) {
      return match.is_number("parts", 2) && match.is_number("axis", -1) &&
             match.is_string("approximate", wanted);
    };
  };
  return {{kGeglu, kReplacement, form("none")}, {kGeglu, kTanhReplacement, form("tanh")}};
}

}  // namespace bw
