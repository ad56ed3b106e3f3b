// hidden + output·gate: in the run's dtype, or in float32 and rounded to it (Wan).
#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

bool adds_once(const MatchedValues& match) { return match.is_number("alpha", 1); }

bool casts_to_f32(const MatchedValues& match) {
  return adds_once(match) && match.is_number("f32", static_cast<double>(at::kFloat));
}

constexpr const char* kWideSum = R"(
graph(%hidden, %output, %gate, %alpha, %f32, %no, %none):
  %wide = aten::to(%hidden, %f32, %no, %no, %none)
  %m = aten::mul(%output, %gate)
  %s = aten::add(%wide, %m, %alpha)
  %y = aten::type_as(%s, %hidden)
  return (%y))";

constexpr const char* kWideSumOfWideOutput = R"(
graph(%hidden, %output, %gate, %alpha, %f32, %no, %none):
  %wide = aten::to(%hidden, %f32, %no, %no, %none)
  %wide_output = aten::to(%output, %f32, %no, %no, %none)
  %m = aten::mul(%wide_output, %gate)
  %s = aten::add(%wide, %m, %alpha)
  %y = aten::type_as(%s, %hidden)
  return (%y))";

constexpr const char* kWideReplacement = R"(
graph(%hidden, %output, %gate, %alpha, %f32, %no, %none):
  %promote : bool = prim::Constant[value=0]()
  %y = bw::gated_add(%hidden, %output, %gate, %promote)
  return (%y))";

constexpr const char* kSumOfItsType = R"(
graph(%hidden, %output, %gate, %alpha):
  %m = aten::mul(%output, %gate)
  %s = aten::add(%hidden, %m, %alpha)
  %y = aten::type_as(%s, %hidden)
  return (%y))";

constexpr const char* kReplacementOfItsType = R"(
graph(%hidden, %output, %gate, %alpha):
  %promote : bool = prim::Constant[value=0]()
  %y = bw::gated_add(%hidden, %output, %gate, %promote)
  return (%y))";

constexpr const char* kPlainSum = R"(
graph(%hidden, %output, %gate, %alpha):
  %m = aten::mul(%gate, %output)
  %y = aten::add(%hidden, %m, %alpha)
  return (%y))";

constexpr const char* kPlainReplacement = R"(
graph(%hidden, %output, %gate, %alpha):
  %promote : bool = prim::Constant[value=1]()
  %y = bw::gated_add(%hidden, %output, %gate, %promote)
  return (%y))";

}  // namespace

// The plain sum is a part of the others, so it comes last.
std::vector<Rewrite> gated_add_rewrites() {
  return {{kWideSumOfWideOutput, kWideReplacement, casts_to_f32},
          {kWideSum, kWideReplacement, casts_to_f32},
          {kSumOfItsType, kReplacementOfItsType, adds_once},
          {kPlainSum, kPlainReplacement, adds_once}};
}

}  // namespace bw
