// One form of a fused operator, and what its patterns may ask of a match. Read rewrite.h for when
// they run, rewrites/gated_add.cc for a small example.
#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/ir/subgraph_matcher.h>

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace bw {

// The values that a pattern's names stand for in the graph at hand.
class MatchedValues {
 public:
  MatchedValues(const torch::jit::Match& match,
                const std::unordered_map<std::string, torch::jit::Value*>& names)
      : match_(match), names_(names) {}

  [[nodiscard]] torch::jit::Value* operator[](const std::string& name) const {
    return match_.values_map.at(names_.at(name));
  }
  [[nodiscard]] std::optional<c10::IValue> constant(const std::string& name) const;
  // Of a number, a boolean or a tensor with one element.
  [[nodiscard]] bool is_number(const std::string& name, double wanted) const;
  [[nodiscard]] bool is_none(const std::string& name) const;
  [[nodiscard]] bool is_string(const std::string& name, const std::string& wanted) const;
  // A list of these integers, built in place or constant.
  [[nodiscard]] bool is_list(const std::string& name,
                             const std::vector<std::int64_t>& wanted) const;
  // A list of as many elements.
  [[nodiscard]] bool is_list_of(const std::string& name, std::size_t size) const;

 private:
  const torch::jit::Match& match_;
  const std::unordered_map<std::string, torch::jit::Value*>& names_;
};

// Pattern and replacement are graphs in TorchScript's text form with the same inputs. Every
// constant of a pattern is an input of its own, since graphs share or repeat constants as they
// like; `accepts` looks at their values.
struct Rewrite {
  std::string pattern;
  std::string replacement;
  std::function<bool(const MatchedValues&)> accepts;
};

}  // namespace bw
