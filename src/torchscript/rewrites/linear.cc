// A linear layer with the GELU that follows, or alone: its weight may then be packed.
#include "kernels/linear.h"

#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

constexpr const char* kGelu = R"(
graph(%x, %weight, %bias, %approximate):
  %h = aten::linear(%x, %weight, %bias)
  %y = aten::gelu(%h, %approximate)
  return (%y))";

constexpr const char* kGeluReplacement = R"(
graph(%x, %weight, %bias, %approximate):
  %activation : int = prim::Constant[value=1]()
  %y = bw::linear(%x, %weight, %bias, %activation)
  return (%y))";

constexpr const char* kGeluTanhReplacement = R"(
graph(%x, %weight, %bias, %approximate):
  %activation : int = prim::Constant[value=2]()
  %y = bw::linear(%x, %weight, %bias, %activation)
  return (%y))";

constexpr const char* kPlain = R"(
graph(%x, %weight, %bias):
  %y = aten::linear(%x, %weight, %bias)
  return (%y))";

constexpr const char* kPlainReplacement = R"(
graph(%x, %weight, %bias):
  %activation : int = prim::Constant[value=0]()
  %y = bw::linear(%x, %weight, %bias, %activation)
  return (%y))";

}  // namespace

static_assert(static_cast<int>(Activation::kNone) == 0 &&
              static_cast<int>(Activation::kGelu) == 1 &&
              static_cast<int>(Activation::kGeluTanh) == 2);

std::vector<Rewrite> linear_rewrites() {
  const auto form = [](const char* wanted) {
    return [wanted](const MatchedValues& match) { return match.is_string("approximate", wanted); };
  };
  return {{kGelu, kGeluReplacement, form("none")},
          {kGelu, kGeluTanhReplacement, form("tanh")},
          {kPlain, kPlainReplacement, [](const MatchedValues&) { return true; }}};
}

}  // namespace bw
