// Strict JSON: duplicate keys, comments and trailing text are errors that say where. See
// base/params.h for typed fields.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/origin.h"

namespace bw {

using Json = nlohmann::ordered_json;

// Parses `text`; throws (see reject) on malformed JSON or a duplicate key, naming line and path.
[[nodiscard]] Json parse_json(std::string_view text, const Origin& origin);

// Reads and parses a file; throws InputError when it cannot be read.
[[nodiscard]] Json read_json_file(const std::filesystem::path& path);

// Reads the fields of one JSON object, each at most once; finish() rejects the keys nobody asked
// for.
class JsonObject {
 public:
  JsonObject(const Json& object, Origin origin);  // throws when it is no object

  [[nodiscard]] bool has(const std::string& key) const { return object_->contains(key); }
  // The value, which must exist; the pointer stays valid as long as the JSON does.
  [[nodiscard]] const Json& require(const std::string& key);
  // The value or null.
  [[nodiscard]] const Json* find(const std::string& key);
  // Typed access; throws with path, expected and actual type.
  [[nodiscard]] std::string text(const std::string& key);
  [[nodiscard]] double number(const std::string& key);
  [[nodiscard]] std::int64_t integer(const std::string& key);
  [[nodiscard]] bool boolean(const std::string& key);
  [[nodiscard]] Origin at(const std::string& key) const { return origin_.at(key); }
  [[nodiscard]] const Origin& origin() const { return origin_; }
  // Rejects unknown keys with the nearest known one.
  void finish() const;

 private:
  const Json* object_;
  Origin origin_;
  std::vector<std::string> seen_;
};

// "a number", "text", ... for error messages.
[[nodiscard]] std::string json_type_name(const Json& value);

}  // namespace bw
