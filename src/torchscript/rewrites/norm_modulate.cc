// Layer norm, with the shift and scale of a time step or without: in the run's dtype, or in float32
// and rounded to it (diffusers' FP32LayerNorm, Wan).
#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

bool is_over_last_axis(const MatchedValues& match) { return match.is_list_of("shape", 1); }

bool is_modulated(const MatchedValues& match) {
  return is_over_last_axis(match) && match.is_number("one", 1) && match.is_number("alpha", 1) &&
         match.is_number("alpha2", 1);
}

bool is_wide(const MatchedValues& match) {
  return is_over_last_axis(match) && match.is_number("f32", static_cast<double>(at::kFloat));
}

bool is_wide_and_modulated(const MatchedValues& match) {
  return is_wide(match) && is_modulated(match);
}

constexpr const char* kWideModulated = R"(
graph(%x, %f32, %no, %none, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %wide = aten::to(%x, %f32, %no, %no, %none)
  %n = aten::layer_norm(%wide, %shape, %weight, %bias, %eps, %cudnn)
  %s = aten::add(%scale, %one, %alpha)
  %m = aten::mul(%n, %s)
  %a = aten::add(%m, %shift, %alpha2)
  %y = aten::type_as(%a, %x)
  return (%y))";

constexpr const char* kWideModulatedReplacement = R"(
graph(%x, %f32, %no, %none, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %promote : bool = prim::Constant[value=0]()
  %y = bw::norm_modulate(%x, %weight, %bias, %shift, %scale, %eps, %promote)
  return (%y))";

constexpr const char* kModulatedOfItsType = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %n = aten::layer_norm(%x, %shape, %weight, %bias, %eps, %cudnn)
  %s = aten::add(%scale, %one, %alpha)
  %m = aten::mul(%n, %s)
  %a = aten::add(%m, %shift, %alpha2)
  %y = aten::type_as(%a, %x)
  return (%y))";

constexpr const char* kReplacementOfItsType = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %promote : bool = prim::Constant[value=0]()
  %y = bw::norm_modulate(%x, %weight, %bias, %shift, %scale, %eps, %promote)
  return (%y))";

constexpr const char* kModulated = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %n = aten::layer_norm(%x, %shape, %weight, %bias, %eps, %cudnn)
  %s = aten::add(%scale, %one, %alpha)
  %m = aten::mul(%n, %s)
  %y = aten::add(%m, %shift, %alpha2)
  return (%y))";

constexpr const char* kModulatedReplacement = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn, %scale, %shift, %one, %alpha, %alpha2):
  %promote : bool = prim::Constant[value=1]()
  %y = bw::norm_modulate(%x, %weight, %bias, %shift, %scale, %eps, %promote)
  return (%y))";

constexpr const char* kWide = R"(
graph(%x, %f32, %no, %none, %shape, %weight, %bias, %eps, %cudnn):
  %wide = aten::to(%x, %f32, %no, %no, %none)
  %n = aten::layer_norm(%wide, %shape, %weight, %bias, %eps, %cudnn)
  %y = aten::type_as(%n, %x)
  return (%y))";

constexpr const char* kWideReplacement = R"(
graph(%x, %f32, %no, %none, %shape, %weight, %bias, %eps, %cudnn):
  %absent : NoneType = prim::Constant()
  %promote : bool = prim::Constant[value=0]()
  %y = bw::norm_modulate(%x, %weight, %bias, %absent, %absent, %eps, %promote)
  return (%y))";

constexpr const char* kPlain = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn):
  %y = aten::layer_norm(%x, %shape, %weight, %bias, %eps, %cudnn)
  return (%y))";

// A layer norm keeps the type of its input, whatever its parameters are.
constexpr const char* kPlainReplacement = R"(
graph(%x, %shape, %weight, %bias, %eps, %cudnn):
  %absent : NoneType = prim::Constant()
  %promote : bool = prim::Constant[value=0]()
  %y = bw::norm_modulate(%x, %weight, %bias, %absent, %absent, %eps, %promote)
  return (%y))";

}  // namespace

// The longer forms first; the plain one is a part of all.
std::vector<Rewrite> norm_modulate_rewrites() {
  return {{kWideModulated, kWideModulatedReplacement, is_wide_and_modulated},
          {kModulatedOfItsType, kReplacementOfItsType, is_modulated},
          {kModulated, kModulatedReplacement, is_modulated},
          {kWide, kWideReplacement, is_wide},
          {kPlain, kPlainReplacement, is_over_last_axis}};
}

}  // namespace bw
