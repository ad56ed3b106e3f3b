#include "run/request.h"

#include "base/check.h"
#include "run/options.h"

namespace bw {

void Request::set(const std::string& key, const Json& value, const Origin& origin) {
  const OptionInfo* option = find_option(key);
  BW_CHECK(option != nullptr, key);
  entries_[key] = {check_option(*option, value, origin), origin};
}

void Request::adopt(const Request& other) {
  for (const auto& [key, entry] : other.entries_) adopt(key, entry);
}

void Request::add_config(const Json& config, const Origin& origin) {
  JsonObject object(config, origin);
  for (const OptionInfo& option : options()) {
    const std::string key(option.key);
    if (const Json* value = object.find(key)) set(key, *value, object.at(key));
  }
  // Where a config comes from (`tune` writes it); says nothing about the run.
  const Json* provenance = object.find("provenance");
  if (provenance != nullptr && !provenance->is_object()) {
    reject(object.at("provenance"), "must be an object, got " + json_type_name(*provenance));
  }
  object.finish();
}

const Request::Entry* Request::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::optional<std::string> Request::text(const std::string& key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? std::nullopt : std::optional(entry->value.get<std::string>());
}

std::optional<std::int64_t> Request::integer(const std::string& key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? std::nullopt : std::optional(entry->value.get<std::int64_t>());
}

std::optional<double> Request::number(const std::string& key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? std::nullopt : std::optional(entry->value.get<double>());
}

bool Request::flag(const std::string& key) const {
  const Entry* entry = find(key);
  return entry != nullptr && entry->value.get<bool>();
}

std::optional<std::filesystem::path> Request::path(const std::string& key) const {
  const auto value = text(key);
  return value ? std::optional<std::filesystem::path>(*value) : std::nullopt;
}

Origin Request::origin(const std::string& key) const {
  if (const Entry* entry = find(key)) return entry->origin;
  const OptionInfo* option = find_option(key);
  BW_CHECK(option != nullptr, key);
  return Origin::flag(main_flag(*option));
}

}  // namespace bw
