#include "base/json.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"

namespace bw {

Json parse_json(std::string_view text, const Origin& origin) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto callback = [&](int /*depth*/, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second &&
        duplicate.empty()) {
      duplicate = value.get<std::string>();
    }
    return true;
  };
  Json result;
  try {
    result = Json::parse(text, callback);
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, std::min(error.byte, text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    reject(origin, "not valid JSON (line " + std::to_string(line) + "): " + error.what());
  }
  if (!duplicate.empty()) reject(origin, "the key '" + duplicate + "' appears twice");
  return result;
}

Json read_json_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    throw InputError(path.string() + ": cannot be read; does the file exist?");
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_json(text.str(), Origin::file(path.string()));
}

std::string json_type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "text";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a number";
    default:
      return "an unknown type";
  }
}

JsonObject::JsonObject(const Json& object, Origin origin)
    : object_(&object), origin_(std::move(origin)) {
  if (!object.is_object()) reject(origin_, "must be an object, got " + json_type_name(object));
}

const Json* JsonObject::find(const std::string& key) {
  seen_.push_back(key);
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

const Json& JsonObject::require(const std::string& key) {
  const Json* value = find(key);
  if (value == nullptr) reject(origin_.at(key), "is missing");
  return *value;
}

std::string JsonObject::text(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_string()) reject(at(key), "must be text, got " + json_type_name(value));
  return value.get<std::string>();
}

double JsonObject::number(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_number()) reject(at(key), "must be a number, got " + json_type_name(value));
  return value.get<double>();
}

std::int64_t JsonObject::integer(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_number_integer()) {
    reject(at(key), "must be an integer, got " + json_type_name(value));
  }
  return value.get<std::int64_t>();
}

bool JsonObject::boolean(const std::string& key) {
  const Json& value = require(key);
  if (!value.is_boolean()) reject(at(key), "must be true or false, got " + json_type_name(value));
  return value.get<bool>();
}

void JsonObject::finish() const {
  for (const auto& [key, value] : object_->items()) {
    if (std::find(seen_.begin(), seen_.end(), key) == seen_.end()) {
      reject(origin_.at(key), "unknown key" + known_names_hint(key, seen_));
    }
  }
}

}  // namespace bw
