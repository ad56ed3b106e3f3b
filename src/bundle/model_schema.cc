#include "bundle/model_schema.h"

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/check.h"

namespace bw {
namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

// valijson writes a path as "<root>", "[experts]", "[3]".
Origin place_of(const std::vector<std::string>& context, Origin origin) {
  for (const std::string& part : context) {
    if (!part.starts_with("[")) continue;
    const std::string key = part.substr(1, part.size() - 2);
    const bool is_index = key.find_first_not_of("0123456789") == std::string::npos;
    origin = origin.at(is_index ? part : key);
  }
  return origin;
}

}  // namespace

void check_model_schema(const Json& manifest, const Origin& origin) {
  // valijson's adapter wants the unordered kind.
  const nlohmann::json schema_json = nlohmann::json::parse(model_schema_text());
  const nlohmann::json document = nlohmann::json::parse(manifest.dump());
  valijson::Schema schema;
  valijson::SchemaParser parser;
  parser.populateSchema(Adapter(schema_json), schema);
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(schema, Adapter(document), &results)) return;
  // The deepest error is the cause; the others say that what holds it is wrong too.
  valijson::ValidationResults::Error deepest;
  for (const auto& error : results) {
    if (error.context.size() > deepest.context.size()) deepest = error;
  }
  BW_CHECK(!deepest.description.empty());
  reject(place_of(deepest.context, origin), deepest.description);
}

}  // namespace bw
