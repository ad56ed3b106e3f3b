// One description of a parameter serves JSON, the command line, help, `list`, the schema and the
// report. A parameter struct derives from Params and names each field once in visit(); see
// cache/policies/static.cc.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/origin.h"

namespace bw {

// What a field is called and what it means; 0 or empty values are explained in `meaning`.
struct ParamDoc {
  std::string_view name;
  std::string_view meaning;
};

// Inclusive limits; `exclusive_low` turns the lower one into ">".
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool exclusive_low = false;
};

class ParamVisitor {
 public:
  virtual ~ParamVisitor() = default;
  virtual void number(ParamDoc doc, double& field, Range range) = 0;
  virtual void integer(ParamDoc doc, std::int64_t& field, Range range) = 0;
  virtual void flag(ParamDoc doc, bool& field) = 0;
  virtual void choice(ParamDoc doc, std::string& field,
                      std::span<const std::string_view> names) = 0;
  // Text with a grammar of its own (`form`, e.g. "steps or a percentage"); the owner checks it in
  // Params::check.
  virtual void text(ParamDoc doc, std::string& field, std::string_view form) = 0;
};

class Params {
 public:
  virtual ~Params() = default;
  virtual void visit(ParamVisitor& visitor) = 0;
  // Rules that concern a text form or several fields; throws through reject(origin.at(field), …).
  virtual void check(const Origin& /*origin*/) const {}
};

struct ParamInfo {
  std::string name;
  std::string type;           // "number", "integer", "flag", "choice", "text"
  std::string range;          // "0 <= x <= 1", "a | b | c", the form of a text
  std::string default_value;  // as it would be written in JSON
  std::string meaning;
};

// Sets the fields named in `object`; unknown keys, wrong types, values out of range and NaN are
// rejected. Values may be JSON text where a number is wanted ("0.04"), as they come from a command
// line. Runs check().
void read_params(Params& params, const Json& object, const Origin& origin);

// "key=value,key=value" as a JSON object of texts. Throws UsageError on a missing '=' or an empty
// or repeated key.
[[nodiscard]] Json parse_key_values(std::string_view text, const Origin& origin);

[[nodiscard]] Json params_to_json(const Params& params);
[[nodiscard]] std::vector<ParamInfo> describe_params(const Params& defaults);

}  // namespace bw
