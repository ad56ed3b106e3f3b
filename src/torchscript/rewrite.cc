#include "torchscript/rewrite.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/subgraph_rewrite.h>

#include <algorithm>
#include <string_view>

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

// With the operators that its pattern names: a graph that lacks one of them need not be searched,
// which spares most of the time (every search parses the pattern anew).
struct Form {
  Rewrite rewrite;
  std::set<std::string> operators;
};

struct OperatorRewrites {
  std::string name;
  std::vector<Form> forms;
};

std::set<std::string> operators_in(const std::string& pattern) {
  std::set<std::string> names;
  for (std::size_t at = pattern.find("aten::"); at != std::string::npos;
       at = pattern.find("aten::", at + 1)) {
    names.insert(pattern.substr(at, pattern.find('(', at) - at));
  }
  return names;
}

std::vector<Form> with_operators(std::vector<Rewrite> rewrites) {
  std::vector<Form> forms;
  for (Rewrite& rewrite : rewrites) {
    std::set<std::string> operators = operators_in(rewrite.pattern);
    forms.push_back({std::move(rewrite), std::move(operators)});
  }
  return forms;
}

const std::vector<OperatorRewrites>& table() {
  static const std::vector<OperatorRewrites> kAll = {
#define BW_REWRITE(name) {#name, with_operators(name##_rewrites())},
#include "torchscript/rewrites.inc"
#undef BW_REWRITE
  };
  return kAll;
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

bool is_constant(const Value* value, const c10::IValue& wanted) {
  const auto found = torch::jit::toIValue(value);
  return found && *found == wanted;
}

// A number, or a tensor without axes: neither decides the type of a sum with a tensor.
bool is_scalar_constant(const Value* value) {
  const auto found = torch::jit::toIValue(value);
  return found && (found->isScalar() || (found->isTensor() && found->toTensor().dim() == 0));
}

// What a norm in float32 is made of keeps the type of its first argument.
bool is_known_f32(const Value* value) {
  const Node* node = value->node();
  if (is_cast_to_f32(node)) return true;
  const auto kind = node->kind();
  const bool keeps_type =
      kind == c10::aten::layer_norm || kind == c10::aten::rsqrt ||
      ((kind == c10::aten::pow || kind == c10::aten::add) && is_scalar_constant(node->input(1))) ||
      (kind == c10::aten::mean && is_constant(node->inputs().back(), c10::IValue()));
  return keeps_type && is_known_f32(node->input(0));
}

// What does nothing in a pass without training, and would stand between the operators of a pattern.
bool is_idle(const Node* node) {
  if (is_cast_to_f32(node)) {
    const bool may_alias =
        is_constant(node->input(3), false) && is_constant(node->input(4), c10::IValue());
    return may_alias && is_known_f32(node->input(0));
  }
  return node->kind() == c10::aten::dropout && is_constant(node->input(2), false);
}

// Operators that change a tensor in place: a rewrite moves reads of it, and would have to know
// which.
bool changes_tensors(Graph& graph) {
  bool found = false;
  for_each_node(graph.block(), [&](const Node* node) {
    const c10::FunctionSchema* schema = node->maybeSchema();
    found = found || (schema != nullptr && schema->is_mutable());
  });
  return found;
}

void drop_idle_nodes(Graph& graph) {
  for_each_node(graph.block(), [](Node* node) {
    if (is_idle(node)) node->output()->replaceAllUsesWith(node->input(0));
  });
  torch::jit::EliminateDeadCode(graph.block());
}

// The names that patterns give to tensors; a number in such a place fits an operator of ATen, not
// ours.
bool has_tensors(const MatchedValues& match, const std::unordered_map<std::string, Value*>& names) {
  for (const char* name : {"hidden", "output", "gate", "x", "scale", "shift", "cos", "sin", "q",
                           "k", "v", "weight", "bias"}) {
    if (!names.contains(name) || match[name]->type()->isSubtypeOf(c10::TensorType::get())) continue;
    const bool may_lack = std::string_view(name) == "weight" || std::string_view(name) == "bias";
    if (!may_lack || !match.is_none(name)) return false;
  }
  return true;
}

void apply(const Rewrite& rewrite, std::shared_ptr<Graph>& graph) {
  torch::jit::SubgraphRewriter rewriter;
  rewriter.RegisterRewritePattern(rewrite.pattern, rewrite.replacement);
  rewriter.runOnGraph(graph, [&](const torch::jit::Match& match,
                                 const std::unordered_map<std::string, Value*>& names) {
    const MatchedValues values(match, names);
    return has_tensors(values, names) && rewrite.accepts(values);
  });
}

// "a.b.weight" of a value that is read from the module itself; empty for any other.
std::string attribute_path(const Value* value, const Value* self) {
  std::vector<std::string> names;
  for (; value != self; value = value->node()->input(0)) {
    if (value->node()->kind() != c10::prim::GetAttr) return {};
    names.push_back(value->node()->s(c10::attr::name));
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (!path.empty()) path += '.';
    path += *name;
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

bool MatchedValues::is_list(const std::string& name,
                            const std::vector<std::int64_t>& wanted) const {
  if (const auto value = constant(name)) {
    return value->isIntList() && value->toIntVector() == wanted;
  }
  const Node* node = (*this)[name]->node();
  if (node->kind() != c10::prim::ListConstruct || node->inputs().size() != wanted.size())
    return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!is_constant(node->input(i), wanted[i])) return false;
  }
  return true;
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
    // Other methods may have kept a copy from before.
    torch::jit::toGraphFunction(method.function()).clear_optimized_graphs();
    if (changes_tensors(*graph)) continue;
    drop_idle_nodes(*graph);
    // No rewrite brings in what a later pattern looks for, so once is enough.
    std::set<std::string> present;
    for_each_node(graph->block(),
                  [&](const Node* node) { present.insert(node->kind().toQualString()); });
    for (const OperatorRewrites& op : table()) {
      for (const Form& form : op.forms) {
        if (std::ranges::includes(present, form.operators)) apply(form.rewrite, graph);
      }
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

namespace {

// The object that holds the attribute, and the attribute's own name: modules can be shared.
std::pair<const void*, std::string> owner_of(torch::jit::Module module, const std::string& path) {
  std::size_t start = 0;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', start)) {
    module = module.attr(path.substr(start, dot - start)).toModule();
    start = dot + 1;
  }
  return {module._ivalue().get(), path.substr(start)};
}

}  // namespace

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
  std::map<std::pair<const void*, std::string>, std::set<std::string>> paths;
  for (const std::set<std::string>* set : {&weights, &others}) {
    for (const std::string& path : *set) {
      if (!path.empty()) paths[owner_of(code, path)].insert(path);
    }
  }
  for (const auto& [owner, same] : paths) {
    const bool is_used_otherwise =
        std::ranges::any_of(same, [&](const std::string& path) { return others.contains(path); });
    for (const std::string& path : same) {
      if (is_used_otherwise || same.size() > 1) weights.erase(path);
    }
  }
  weights.erase("");
  return weights;
}

}  // namespace bw
