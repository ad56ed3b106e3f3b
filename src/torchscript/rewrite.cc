#include "torchscript/rewrite.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/subgraph_rewrite.h>

#include <algorithm>

#include "kernels/operators.h"
#include "torchscript/graph_rewrite.h"

namespace bw {

#define BW_REWRITE(name) std::vector<Rewrite> name##_rewrites();
#include "torchscript/rewrites.inc"
#undef BW_REWRITE

namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

struct OperatorRewrites {
  std::string name;
  std::vector<Rewrite> forms;
};

const std::vector<OperatorRewrites>& table() {
  static const std::vector<OperatorRewrites> all = {
#define BW_REWRITE(name) {#name, name##_rewrites()},
#include "torchscript/rewrites.inc"
#undef BW_REWRITE
  };
  return all;
}

template <typename Visit>
void for_each_node(torch::jit::Block* block, const Visit& visit) {
  for (Node* node : block->nodes()) {
    for (torch::jit::Block* inner : node->blocks()) for_each_node(inner, visit);
    visit(node);
  }
}

// aten::to(x, float32, …), which returns x itself when that is what it is.
bool is_cast_to_f32(const Node* node) {
  if (node->kind() != c10::aten::to || node->inputs().size() != 5) return false;
  const auto type = torch::jit::toIValue(node->input(1));
  return type && type->isInt() && type->toInt() == static_cast<std::int64_t>(at::kFloat);
}

// What a norm in float32 is made of keeps the type of its first argument.
bool is_known_f32(const Value* value) {
  const Node* node = value->node();
  if (is_cast_to_f32(node)) return true;
  const auto kind = node->kind();
  const bool keeps_type = kind == c10::aten::layer_norm || kind == c10::aten::pow ||
                          kind == c10::aten::mean || kind == c10::aten::rsqrt ||
                          (kind == c10::aten::add && torch::jit::toIValue(node->input(1)));
  return keeps_type && is_known_f32(node->input(0));
}

// What does nothing in a pass without training, and would stand between the operators of a pattern.
bool is_idle(const Node* node) {
  if (is_cast_to_f32(node)) return is_known_f32(node->input(0));
  if (node->kind() != c10::aten::dropout) return false;
  const auto training = torch::jit::toIValue(node->input(2));
  return training && training->isBool() && !training->toBool();
}

void drop_idle_nodes(Graph& graph) {
  for_each_node(graph.block(), [](Node* node) {
    if (is_idle(node)) node->output()->replaceAllUsesWith(node->input(0));
  });
  torch::jit::EliminateDeadCode(graph.block());
}

void apply(const Rewrite& rewrite, std::shared_ptr<Graph>& graph) {
  torch::jit::SubgraphRewriter rewriter;
  rewriter.RegisterRewritePattern(rewrite.pattern, rewrite.replacement);
  rewriter.runOnGraph(graph, [&](const torch::jit::Match& match,
                                 const std::unordered_map<std::string, Value*>& names) {
    return rewrite.accepts(MatchedValues(match, names));
  });
}

// "a.b.weight" of a value that is read from the module itself; empty for any other.
std::string attribute_path(const Value* value, const Value* self) {
  std::string path;
  while (value != self) {
    const Node* node = value->node();
    if (node->kind() != c10::prim::GetAttr) return {};
    path = node->s(c10::attr::name) + (path.empty() ? "" : "." + path);
    value = node->input(0);
  }
  return path;
}

bool is_weight(const torch::jit::Use& use) {
  static const std::set<c10::Symbol> kProducts = {c10::Symbol::fromQualString("bw::linear"),
                                                  c10::aten::_convolution, c10::aten::conv2d};
  return kProducts.contains(use.user->kind()) && use.offset == 1;
}

}  // namespace

std::optional<c10::IValue> MatchedValues::constant(const std::string& name) const {
  return torch::jit::toIValue((*this)[name]);
}

bool MatchedValues::is_number(const std::string& name, double wanted) const {
  const auto value = constant(name);
  if (!value) return false;
  if (value->isTensor()) {
    return value->toTensor().numel() == 1 && value->toTensor().item<double>() == wanted;
  }
  return (value->isScalar() || value->isBool()) && value->toScalar().toDouble() == wanted;
}

bool MatchedValues::is_none(const std::string& name) const {
  const auto value = constant(name);
  return value && value->isNone();
}

bool MatchedValues::is_string(const std::string& name, const std::string& wanted) const {
  const auto value = constant(name);
  return value && value->isString() && value->toStringRef() == wanted;
}

bool MatchedValues::is_list_of(const std::string& name, std::size_t size) const {
  if (const auto value = constant(name))
    return value->isList() && value->toListRef().size() == size;
  const Node* node = (*this)[name]->node();
  return node->kind() == c10::prim::ListConstruct && node->inputs().size() == size;
}

RewriteCounts rewrite_graphs(const torch::jit::Module& code) {
  register_operators();
  RewriteCounts counts;
  for (const OperatorRewrites& op : table()) counts[op.name] = 0;
  for (const torch::jit::Method& method : code.get_methods()) {
    std::shared_ptr<Graph> graph = method.graph();
    torch::jit::Inline(*graph);
    drop_idle_nodes(*graph);
    for (const OperatorRewrites& op : table()) {
      for (const Rewrite& form : op.forms) apply(form, graph);
    }
    torch::jit::ConstantPropagation(graph);
    torch::jit::EliminateDeadCode(graph);
    for_each_node(graph->block(), [&](const Node* node) {
      if (node->kind().ns().toUnqualString() == std::string("bw"))
        ++counts[node->kind().toUnqualString()];
    });
  }
  return counts;
}

std::set<std::string> packable_weights(const torch::jit::Module& code) {
  std::set<std::string> weights;
  std::set<std::string> others;
  for (const torch::jit::Method& method : code.get_methods()) {
    const auto graph = method.graph();
    for_each_node(graph->block(), [&](const Node* node) {
      if (node->kind() != c10::prim::GetAttr) return;
      const std::string path = attribute_path(node->output(), graph->inputs().at(0));
      for (const torch::jit::Use& use : node->output()->uses()) {
        (is_weight(use) ? weights : others).insert(path);
      }
    });
  }
  for (const std::string& path : others) weights.erase(path);
  return weights;
}

}  // namespace bw
