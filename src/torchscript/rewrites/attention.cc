// Attention without mask, so that its form can be chosen (kernels/attention.h).
#include "torchscript/graph_rewrite.h"

namespace bw {
namespace {

constexpr const char* kSdpa = R"(
graph(%q, %k, %v, %mask, %dropout, %causal, %scaling, %grouped):
  %y = aten::scaled_dot_product_attention(%q, %k, %v, %mask, %dropout, %causal, %scaling, %grouped)
  return (%y))";

constexpr const char* kReplacement = R"(
graph(%q, %k, %v, %mask, %dropout, %causal, %scaling, %grouped):
  %y = bw::attention(%q, %k, %v)
  return (%y))";

}  // namespace

std::vector<Rewrite> attention_rewrites() {
  return {{kSdpa, kReplacement, [](const MatchedValues& match) {
             return match.is_none("mask") && match.is_number("dropout", 0) &&
                    match.is_number("causal", 0) && match.is_none("scaling") &&
                    match.is_number("grouped", 0);
           }}};
}

}  // namespace bw
