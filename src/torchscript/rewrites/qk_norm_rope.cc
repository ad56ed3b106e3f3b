// Root-mean-square norm of queries or keys, with the rotary embedding that follows or without. Two
// conventions: over each head, written out, rotating halves (the default model); over all heads by
// aten::rms_norm, rotating neighbours (Wan).
#include "kernels/qk_norm_rope.h"

#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

bool is_head_norm(const MatchedValues& match) {
  return match.is_number("two", 2) && match.is_list("last", {-1}) && match.is_number("keep", 1) &&
         match.is_none("no_type") && match.is_number("alpha", 1) &&
         match.constant("eps").has_value();
}

bool are_halves(const MatchedValues& match) {
  return match.is_number("parts", 2) && match.is_number("axis", -1) &&
         match.is_number("axis2", -1) && match.is_number("alpha2", 1) &&
         match.is_number("alpha3", 1);
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

constexpr const char* kRotation = R"(
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

// The norm over heads as models write it: with casts to float32 and back, or, traced in float32,
// without; alone, or with the rotation that follows. The four forms differ in these parts alone.
struct HeadForm {
  bool has_casts = false;
  bool has_rotation = false;

  [[nodiscard]] std::string inputs() const {
    std::string names = "graph(%x, %weight, %two, %last, %keep, %no_type, %eps, %alpha";
    if (has_casts) names += ", %f32, %type, %no, %none";
    if (has_rotation) names += ", %cos, %sin, %parts, %axis, %axis2, %alpha2, %alpha3";
    return names + "):\n";
  }

  [[nodiscard]] std::string pattern() const {
    std::string text = inputs();
    if (has_casts) text += "  %wide = aten::to(%x, %f32, %no, %no, %none)\n";
    text += has_casts ? "  %square = aten::pow(%wide, %two)" : "  %square = aten::pow(%x, %two)";
    text += R"(
  %mean = aten::mean(%square, %last, %keep, %no_type)
  %shifted = aten::add(%mean, %eps, %alpha)
  %root = aten::rsqrt(%shifted)
)";
    if (has_casts) text += "  %cast = aten::to(%root, %type, %no, %no, %none)\n";
    text += has_casts ? "  %normed = aten::mul(%x, %cast)" : "  %normed = aten::mul(%x, %root)";
    text += R"(
  %weighted = aten::mul(%normed, %weight)
)";
    return text + (has_rotation ? kRotation : "  return (%weighted)");
  }

  [[nodiscard]] std::string replacement() const {
    std::string text = inputs();
    text += has_rotation ? "  %pairs : int = prim::Constant[value=1]()\n"
                         : "  %pairs : int = prim::Constant[value=0]()\n"
                           "  %absent : NoneType = prim::Constant()\n";
    text += R"(
  %epsilon : float = aten::Float(%eps)
  %span : int = prim::Constant[value=0]()
  %promote : bool = prim::Constant[value=1]()
  %y = bw::qk_norm_rope(%x, %weight, %epsilon, )";
    text += has_rotation ? "%cos, %sin" : "%absent, %absent";
    return text + ", %span, %pairs, %promote)\n  return (%y)";
  }

  [[nodiscard]] bool accepts(const MatchedValues& match) const {
    const bool is_cast = !has_casts || match.is_number("f32", static_cast<double>(at::kFloat));
    return is_cast && is_head_norm(match) && (!has_rotation || are_halves(match));
  }

  [[nodiscard]] Rewrite rewrite() const {
    return {pattern(), replacement(),
            [form = *this](const MatchedValues& match) { return form.accepts(match); }};
  }
};

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
  const auto head = [](bool has_casts, bool has_rotation) {
    return HeadForm{.has_casts = has_casts, .has_rotation = has_rotation}.rewrite();
  };
  return {head(true, true),
          head(false, true),
          head(true, false),
          head(false, false),
          {kNeighbours, kNeighboursReplacement, rotates_neighbours},
          {kRow, kRowReplacement, is_row_norm}};
}

}  // namespace bw
