// Root-mean-square norm of queries or keys, with the rotary embedding that follows or without. Two
// conventions: over each head, written out, rotating halves (the default model); over all heads by
// aten::rms_norm, rotating neighbours (Wan).
#include "kernels/qk_norm_rope.h"

#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

bool is_uncast_head_norm(const MatchedValues& match) {
  return match.is_number("two", 2) && match.is_list("last", {-1}) && match.is_number("keep", 1) &&
         match.is_none("no_type") && match.is_number("alpha", 1) &&
         match.constant("eps").has_value();
}

bool is_head_norm(const MatchedValues& match) {
  return match.is_number("f32", static_cast<double>(at::kFloat)) && is_uncast_head_norm(match);
}

bool are_halves(const MatchedValues& match) {
  return match.is_number("parts", 2) && match.is_number("axis", -1) &&
         match.is_number("axis2", -1) && match.is_number("alpha2", 1) &&
         match.is_number("alpha3", 1);
}

bool rotates_halves(const MatchedValues& match) { return is_head_norm(match) && are_halves(match); }

bool rotates_uncast_halves(const MatchedValues& match) {
  return is_uncast_head_norm(match) && are_halves(match);
}

// aten::rms_norm without eps takes that of its dtype.
bool is_row_norm(const MatchedValues& match) {
  return match.is_list_of("shape", 1) && match.constant("eps") && !match.is_none("eps") &&
         match.is_list_of("heads", 2) && match.is_number("first", 1) &&
         match.is_number("second", 2) &&
         (match.is_number("axis", 2) || match.is_number("axis", -1));
}

bool rotates_neighbours(const MatchedValues& match) {
  return is_row_norm(match) && match.is_list_of("pair", 2) && match.is_number("last", -1) &&
         match.is_number("last2", -1) && match.is_number("last3", -1) &&
         match.is_number("last4", -1) && match.is_number("before_last", -2) &&
         match.is_number("alpha", 1) && match.is_number("alpha2", 1);
}

constexpr const char* kHalves = R"(
graph(%x, %weight, %cos, %sin, %f32, %type, %no, %none, %two, %last, %keep, %no_type, %eps, %alpha, %parts, %axis, %axis2, %alpha2, %alpha3):
  %wide = aten::to(%x, %f32, %no, %no, %none)
  %square = aten::pow(%wide, %two)
  %mean = aten::mean(%square, %last, %keep, %no_type)
  %shifted = aten::add(%mean, %eps, %alpha)
  %root = aten::rsqrt(%shifted)
  %inverse = aten::to(%root, %type, %no, %no, %none)
  %normed = aten::mul(%x, %inverse)
  %weighted = aten::mul(%normed, %weight)
  %halves : Tensor[] = aten::chunk(%weighted, %parts, %axis)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%halves)
  %a_cos = aten::mul(%a, %cos)
  %b_sin = aten::mul(%b, %sin)
  %first = aten::sub(%a_cos, %b_sin, %alpha2)
  %a_sin = aten::mul(%a, %sin)
  %b_cos = aten::mul(%b, %cos)
  %second = aten::add(%a_sin, %b_cos, %alpha3)
  %both : Tensor[] = prim::ListConstruct(%first, %second)
  %y = aten::cat(%both, %axis2)
  return (%y))";

constexpr const char* kHalvesReplacement = R"(
graph(%x, %weight, %cos, %sin, %f32, %type, %no, %none, %two, %last, %keep, %no_type, %eps, %alpha, %parts, %axis, %axis2, %alpha2, %alpha3):
  %epsilon : float = aten::Float(%eps)
  %span : int = prim::Constant[value=0]()
  %pairs : int = prim::Constant[value=1]()
  %promote : bool = prim::Constant[value=1]()
  %y = bw::qk_norm_rope(%x, %weight, %epsilon, %cos, %sin, %span, %pairs, %promote)
  return (%y))";

constexpr const char* kHead = R"(
graph(%x, %weight, %f32, %type, %no, %none, %two, %last, %keep, %no_type, %eps, %alpha):
  %wide = aten::to(%x, %f32, %no, %no, %none)
  %square = aten::pow(%wide, %two)
  %mean = aten::mean(%square, %last, %keep, %no_type)
  %shifted = aten::add(%mean, %eps, %alpha)
  %root = aten::rsqrt(%shifted)
  %inverse = aten::to(%root, %type, %no, %no, %none)
  %normed = aten::mul(%x, %inverse)
  %y = aten::mul(%normed, %weight)
  return (%y))";

constexpr const char* kHeadReplacement = R"(
graph(%x, %weight, %f32, %type, %no, %none, %two, %last, %keep, %no_type, %eps, %alpha):
  %epsilon : float = aten::Float(%eps)
  %absent : NoneType = prim::Constant()
  %span : int = prim::Constant[value=0]()
  %pairs : int = prim::Constant[value=0]()
  %promote : bool = prim::Constant[value=1]()
  %y = bw::qk_norm_rope(%x, %weight, %epsilon, %absent, %absent, %span, %pairs, %promote)
  return (%y))";

// A model traced in float32 has no casts.
constexpr const char* kHalvesUncast = R"(
graph(%x, %weight, %cos, %sin, %two, %last, %keep, %no_type, %eps, %alpha, %parts, %axis, %axis2, %alpha2, %alpha3):
  %square = aten::pow(%x, %two)
  %mean = aten::mean(%square, %last, %keep, %no_type)
  %shifted = aten::add(%mean, %eps, %alpha)
  %inverse = aten::rsqrt(%shifted)
  %normed = aten::mul(%x, %inverse)
  %weighted = aten::mul(%normed, %weight)
  %halves : Tensor[] = aten::chunk(%weighted, %parts, %axis)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%halves)
  %a_cos = aten::mul(%a, %cos)
  %b_sin = aten::mul(%b, %sin)
  %first = aten::sub(%a_cos, %b_sin, %alpha2)
  %a_sin = aten::mul(%a, %sin)
  %b_cos = aten::mul(%b, %cos)
  %second = aten::add(%a_sin, %b_cos, %alpha3)
  %both : Tensor[] = prim::ListConstruct(%first, %second)
  %y = aten::cat(%both, %axis2)
  return (%y))";

constexpr const char* kHalvesUncastReplacement = R"(
graph(%x, %weight, %cos, %sin, %two, %last, %keep, %no_type, %eps, %alpha, %parts, %axis, %axis2, %alpha2, %alpha3):
  %epsilon : float = aten::Float(%eps)
  %span : int = prim::Constant[value=0]()
  %pairs : int = prim::Constant[value=1]()
  %promote : bool = prim::Constant[value=1]()
  %y = bw::qk_norm_rope(%x, %weight, %epsilon, %cos, %sin, %span, %pairs, %promote)
  return (%y))";

constexpr const char* kHeadUncast = R"(
graph(%x, %weight, %two, %last, %keep, %no_type, %eps, %alpha):
  %square = aten::pow(%x, %two)
  %mean = aten::mean(%square, %last, %keep, %no_type)
  %shifted = aten::add(%mean, %eps, %alpha)
  %inverse = aten::rsqrt(%shifted)
  %normed = aten::mul(%x, %inverse)
  %y = aten::mul(%normed, %weight)
  return (%y))";

constexpr const char* kHeadUncastReplacement = R"(
graph(%x, %weight, %two, %last, %keep, %no_type, %eps, %alpha):
  %epsilon : float = aten::Float(%eps)
  %absent : NoneType = prim::Constant()
  %span : int = prim::Constant[value=0]()
  %pairs : int = prim::Constant[value=0]()
  %promote : bool = prim::Constant[value=1]()
  %y = bw::qk_norm_rope(%x, %weight, %epsilon, %absent, %absent, %span, %pairs, %promote)
  return (%y))";

constexpr const char* kNeighbours = R"(
graph(%x, %shape, %weight, %eps, %axis, %heads, %first, %second, %last, %pair, %last2, %cos, %sin, %alpha, %alpha2, %last3, %before_last, %last4):
  %normed = aten::rms_norm(%x, %shape, %weight, %eps)
  %split = aten::unflatten(%normed, %axis, %heads)
  %by_head = aten::transpose(%split, %first, %second)
  %paired = aten::unflatten(%by_head, %last, %pair)
  %ab : Tensor[] = aten::unbind(%paired, %last2)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%ab)
  %a_cos = aten::mul(%a, %cos)
  %b_sin = aten::mul(%b, %sin)
  %real = aten::sub(%a_cos, %b_sin, %alpha)
  %a_sin = aten::mul(%a, %sin)
  %b_cos = aten::mul(%b, %cos)
  %imaginary = aten::add(%a_sin, %b_cos, %alpha2)
  %both : Tensor[] = prim::ListConstruct(%real, %imaginary)
  %stacked = aten::stack(%both, %last3)
  %joined = aten::flatten(%stacked, %before_last, %last4)
  %y = aten::type_as(%joined, %by_head)
  return (%y))";

constexpr const char* kNeighboursReplacement = R"(
graph(%x, %shape, %weight, %eps, %axis, %heads, %first, %second, %last, %pair, %last2, %cos, %sin, %alpha, %alpha2, %last3, %before_last, %last4):
  %split = aten::unflatten(%x, %axis, %heads)
  %by_head = aten::transpose(%split, %first, %second)
  %span : int = prim::Constant[value=1]()
  %pairs : int = prim::Constant[value=2]()
  %promote : bool = prim::Constant[value=0]()
  %y = bw::qk_norm_rope(%by_head, %weight, %eps, %cos, %sin, %span, %pairs, %promote)
  return (%y))";

constexpr const char* kRow = R"(
graph(%x, %shape, %weight, %eps, %axis, %heads, %first, %second):
  %normed = aten::rms_norm(%x, %shape, %weight, %eps)
  %split = aten::unflatten(%normed, %axis, %heads)
  %y = aten::transpose(%split, %first, %second)
  return (%y))";

constexpr const char* kRowReplacement = R"(
graph(%x, %shape, %weight, %eps, %axis, %heads, %first, %second):
  %split = aten::unflatten(%x, %axis, %heads)
  %by_head = aten::transpose(%split, %first, %second)
  %absent : NoneType = prim::Constant()
  %span : int = prim::Constant[value=1]()
  %pairs : int = prim::Constant[value=0]()
  %promote : bool = prim::Constant[value=0]()
  %y = bw::qk_norm_rope(%by_head, %weight, %eps, %absent, %absent, %span, %pairs, %promote)
  return (%y))";

}  // namespace

static_assert(static_cast<int>(NormSpan::kHead) == 0 && static_cast<int>(NormSpan::kRow) == 1);
static_assert(static_cast<int>(RopePairs::kNone) == 0 &&
              static_cast<int>(RopePairs::kHalves) == 1 &&
              static_cast<int>(RopePairs::kAdjacent) == 2);

std::vector<Rewrite> qk_norm_rope_rewrites() {
  return {{kHalves, kHalvesReplacement, rotates_halves},
          {kHalvesUncast, kHalvesUncastReplacement, rotates_uncast_halves},
          {kHead, kHeadReplacement, is_head_norm},
          {kHeadUncast, kHeadUncastReplacement, is_uncast_head_norm},
          {kNeighbours, kNeighboursReplacement, rotates_neighbours},
          {kRow, kRowReplacement, is_row_norm}};
}

}  // namespace bw
