// Note: [Scanning code]
// The text is cut into tokens as TorchScript's own lexer does, and what it could call is read off
// the tokens:
//   torch.NAME             the operator aten::NAME; NAME must be on the list
//   ops.NAMESPACE.NAME     an operator of any namespace; must be on the list
//   x.NAME                 an attribute or a method of the archive, but also aten::NAME with x as
//   its first argument:
//                          refused when such an operator exists and is not on the list
//   getattr(x, "NAME")     the same with a literal
//   name(…)                a builtin; must be on the list
// `torch` and `ops` may appear in these forms only, so that no alias of them can be made. What the
// lexers could read differently (prefixed and triple-quoted strings, bytes beyond ASCII) is
// refused.
#include <torch/csrc/jit/runtime/operator.h>

#include <cctype>
#include <set>
#include <vector>

#include "base/error.h"
#include "torchscript/archive_scan.h"

namespace bw {
namespace {

enum class TokenKind { kName, kText, kNumber, kSymbol };

struct Token {
  TokenKind kind = TokenKind::kSymbol;
  std::string_view text;  // of a literal: without its quotes
};

const std::set<std::string, std::less<>>& allowed_operators() {
  static const std::set<std::string, std::less<>> kNames = {
#define BW_OPERATOR(space, name) #space "." #name,
#define BW_BUILTIN(name)
#include "torchscript/operator_allow_list.inc"
#undef BW_OPERATOR
#undef BW_BUILTIN
  };
  return kNames;
}

const std::set<std::string, std::less<>>& allowed_builtins() {
  static const std::set<std::string, std::less<>> kNames = {
#define BW_OPERATOR(space, name)
#define BW_BUILTIN(name) #name,
#include "torchscript/operator_allow_list.inc"
#undef BW_OPERATOR
#undef BW_BUILTIN
  };
  return kNames;
}

// Words of the language that may stand before a parenthesis.
const std::set<std::string, std::less<>>& keywords() {
  static const std::set<std::string, std::less<>> kNames = {
      "return", "if",  "elif", "else", "in",   "and",    "or",   "not",
      "while",  "for", "is",   "with", "pass", "assert", "None", "raise"};
  return kNames;
}

bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

class Lexer {
 public:
  Lexer(std::string_view code, const std::string& place) : code_(code), place_(place) {}

  std::vector<Token> tokens() {
    std::vector<Token> result;
    while (skip_blank()) {
      const char c = code_[at_];
      if (is_name_start(c)) {
        result.push_back({TokenKind::kName, take_while(is_name_part)});
      } else if (is_digit(c)) {
        result.push_back({TokenKind::kNumber, take_number()});
      } else if (c == '"' || c == '\'') {
        const bool is_prefixed = at_ > 0 && is_name_part(code_[at_ - 1]);
        if (is_prefixed) fail("a string with a prefix");
        result.push_back({TokenKind::kText, take_text(c)});
      } else {
        result.push_back({TokenKind::kSymbol, code_.substr(at_++, 1)});
      }
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(place_ + ": the code holds " + what + ", which a bundle may not use");
  }

  // Moves to the next token; false at the end.
  bool skip_blank() {
    while (at_ < code_.size()) {
      const auto c = static_cast<unsigned char>(code_[at_]);
      if (c == '#') {
        while (at_ < code_.size() && code_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c < 0x20 || c >= 0x7F) {
        fail("the byte " + std::to_string(c) + " outside a string");
      } else {
        return true;
      }
    }
    return false;
  }

  std::string_view take_while(bool (*accept)(char)) {
    const std::size_t begin = at_;
    while (at_ < code_.size() && accept(code_[at_])) ++at_;
    return code_.substr(begin, at_ - begin);
  }

  // Digits, a point that digits or nothing follows, an exponent. "1.save" is left as number, name:
  // an attribute.
  std::string_view take_number() {
    const std::size_t begin = at_;
    take_while(is_digit);
    if (at_ < code_.size() && code_[at_] == '.') {
      ++at_;
      take_while(is_digit);
    }
    const bool has_exponent =
        at_ + 1 < code_.size() && (code_[at_] == 'e' || code_[at_] == 'E') &&
        (is_digit(code_[at_ + 1]) || code_[at_ + 1] == '-' || code_[at_ + 1] == '+');
    if (has_exponent) {
      at_ += 2;
      take_while(is_digit);
    }
    return code_.substr(begin, at_ - begin);
  }

  std::string_view take_text(char quote) {
    if (code_.substr(at_, 3) == std::string(3, quote)) fail("a triple-quoted string");
    const std::size_t begin = ++at_;
    while (at_ < code_.size() && code_[at_] != quote) {
      if (code_[at_] == '\n') fail("a string that spans lines");
      at_ += code_[at_] == '\\' ? 2 : 1;
    }
    if (at_ >= code_.size()) fail("a string without an end");
    return code_.substr(begin, at_++ - begin);
  }

  std::string_view code_;
  const std::string& place_;
  std::size_t at_ = 0;
};

class CodeScan {
 public:
  CodeScan(std::vector<Token> tokens, const std::string& place)
      : tokens_(std::move(tokens)), place_(place) {}

  void run() {
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      if (tokens_[at_].kind != TokenKind::kName) continue;
      const std::string_view name = tokens_[at_].text;
      if (follows_point()) {
        check_attribute(name);
      } else if (name == "torch") {
        check_operator("aten." + std::string(attribute()), "torch");
      } else if (name == "ops") {
        const std::string space(attribute());
        check_operator(space + "." + std::string(attribute()), "ops");
      } else if (name == "__torch__") {
        check_class();
      } else if (name == "getattr") {
        check_getattr();
      } else {
        check_call(name);
      }
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(place_ + ": the code uses " + what +
                     ", which is not on the list of what a bundle may call "
                     "(src/torchscript/operator_allow_list.inc)");
  }

  [[nodiscard]] bool is_symbol(std::size_t index, std::string_view symbol) const {
    return index < tokens_.size() && tokens_[index].kind == TokenKind::kSymbol &&
           tokens_[index].text == symbol;
  }

  // "1.save" is a number and a name without a point between them.
  [[nodiscard]] bool follows_point() const {
    return at_ > 0 && (is_symbol(at_ - 1, ".") || tokens_[at_ - 1].kind == TokenKind::kNumber);
  }

  // Steps over ".NAME"; empty when something else follows.
  std::string_view attribute() {
    const bool found = is_symbol(at_ + 1, ".") && at_ + 2 < tokens_.size() &&
                       tokens_[at_ + 2].kind == TokenKind::kName;
    if (!found) return {};
    at_ += 2;
    return tokens_[at_].text;
  }

  void check_operator(const std::string& name, const std::string& root) const {
    if (name.ends_with(".") || name.starts_with(".")) refuse("'" + root + "' without an operator");
    if (!allowed_operators().contains(name)) refuse("the operator '" + name + "'");
  }

  void check_attribute(std::string_view name) const {
    if (allowed_operators().contains("aten." + std::string(name))) return;
    const auto symbol = c10::Symbol::fromQualString("aten::" + std::string(name));
    if (!torch::jit::getAllOperatorsFor(symbol).empty()) {
      refuse("the operator 'aten." + std::string(name) +
             "' as a method, or an attribute of that name");
    }
  }

  // A class of the archive; C++ classes registered in the program live under
  // __torch__.torch.classes.
  void check_class() {
    const std::string first(attribute());
    if (first != "torch") return;
    const std::string second(attribute());
    if (second.empty() || second == "classes") refuse("a class of the program ('__torch__.torch')");
  }

  // Leaves `at_` where it is: the arguments are scanned like all code.
  void check_getattr() const {
    if (!is_symbol(at_ + 1, "(")) refuse("'getattr' without arguments");
    std::size_t depth = 0;
    for (std::size_t i = at_ + 1; i < tokens_.size(); ++i) {
      if (is_symbol(i, "(")) ++depth;
      if (is_symbol(i, ")") && --depth == 0) return;
      if (tokens_[i].kind != TokenKind::kText) continue;
      if (tokens_[i].text.find('\\') != std::string_view::npos) refuse("an escaped attribute name");
      check_attribute(tokens_[i].text);
    }
    refuse("'getattr' without an end");
  }

  void check_call(std::string_view name) const {
    const bool is_definition = at_ > 0 && tokens_[at_ - 1].kind == TokenKind::kName &&
                               (tokens_[at_ - 1].text == "def" || tokens_[at_ - 1].text == "class");
    if (is_definition || !is_symbol(at_ + 1, "(") || keywords().contains(name)) return;
    if (!allowed_builtins().contains(name)) refuse("the function '" + std::string(name) + "'");
  }

  std::vector<Token> tokens_;
  const std::string& place_;
  std::size_t at_ = 0;
};

}  // namespace

void scan_code(std::string_view code, const std::string& place) {
  CodeScan(Lexer(code, place).tokens(), place).run();
}

}  // namespace bw
