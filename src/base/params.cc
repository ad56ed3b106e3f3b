#include "base/params.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace bw {
namespace {

// "3" rather than "3.0".
std::string format_number(double value) {
  const bool whole = std::floor(value) == value && std::abs(value) < 1e15;
  return whole ? Json(static_cast<std::int64_t>(value)).dump() : Json(value).dump();
}

std::string format_range(Range range, std::string_view symbol) {
  std::string text(symbol);
  if (std::isfinite(range.low)) {
    text = format_number(range.low) + (range.exclusive_low ? " < " : " <= ") + text;
  }
  if (std::isfinite(range.high)) text += " <= " + format_number(range.high);
  return text;
}

std::string join(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : " | ") + std::string(name);
  return text;
}

// Visits fields by writing the JSON values into them.
class Reader final : public ParamVisitor {
 public:
  Reader(const Json& object, const Origin& origin) : object_(object, origin) {}

  void number(ParamDoc doc, double& field, Range range) override {
    const Json* value = take(doc);
    if (value == nullptr) return;
    const std::optional<double> parsed = as_number(*value);
    const Origin origin = object_.at(std::string(doc.name));
    if (!parsed) reject(origin, "must be a number, got " + value->dump());
    check_range(origin, *parsed, range);
    field = *parsed;
  }

  void integer(ParamDoc doc, std::int64_t& field, Range range) override {
    const Json* value = take(doc);
    if (value == nullptr) return;
    const std::optional<double> parsed = as_number(*value);
    const Origin origin = object_.at(std::string(doc.name));
    if (!parsed || std::floor(*parsed) != *parsed || std::abs(*parsed) > 9e15) {
      reject(origin, "must be an integer, got " + value->dump());
    }
    check_range(origin, *parsed, range);
    field = static_cast<std::int64_t>(*parsed);
  }

  void flag(ParamDoc doc, bool& field) override {
    const Json* value = take(doc);
    if (value == nullptr) return;
    if (value->is_boolean()) {
      field = value->get<bool>();
    } else if (*value == "true" || *value == "false") {
      field = *value == "true";
    } else {
      reject(object_.at(std::string(doc.name)), "must be true or false, got " + value->dump());
    }
  }

  void choice(ParamDoc doc, std::string& field, std::span<const std::string_view> names) override {
    const Json* value = take(doc);
    if (value == nullptr) return;
    const Origin origin = object_.at(std::string(doc.name));
    if (!value->is_string())
      reject(origin, "must be one of " + join(names) + ", got " + value->dump());
    const auto wanted = value->get<std::string>();
    for (const std::string_view name : names) {
      if (name == wanted) {
        field = wanted;
        return;
      }
    }
    const std::vector<std::string> known(names.begin(), names.end());
    reject(origin, "'" + wanted + "' is not a choice" + known_names_hint(wanted, known));
  }

  void text(ParamDoc doc, std::string& field, std::string_view form) override {
    const Json* value = take(doc);
    if (value == nullptr) return;
    if (value->is_string()) {
      field = value->get<std::string>();
    } else if (value->is_number()) {
      field = value->dump();
    } else if (value->is_array()) {  // [0, 3] is what "0+3" is on a command line
      field.clear();
      for (const Json& item : *value) field += (field.empty() ? "" : "+") + item.dump();
    } else {
      reject(object_.at(std::string(doc.name)),
             "must be " + std::string(form) + ", got " + value->dump());
    }
  }

  void finish() const { object_.finish(); }

 private:
  const Json* take(ParamDoc doc) { return object_.find(std::string(doc.name)); }

  static std::optional<double> as_number(const Json& value) {
    if (value.is_number()) return value.get<double>();
    if (!value.is_string()) return std::nullopt;
    const auto text = value.get<std::string>();
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
  }

  static void check_range(const Origin& origin, double value, Range range) {
    const bool low_ok = range.exclusive_low ? value > range.low : value >= range.low;
    if (std::isnan(value) || !std::isfinite(value) || !low_ok || value > range.high) {
      reject(origin, "must satisfy " + format_range(range, "x") + ", got " +
                         (std::isnan(value) ? "nan" : format_number(value)));
    }
  }

  JsonObject object_;
};

class Writer final : public ParamVisitor {
 public:
  void number(ParamDoc doc, double& field, Range /*range*/) override { put(doc, field); }
  void integer(ParamDoc doc, std::int64_t& field, Range /*range*/) override { put(doc, field); }
  void flag(ParamDoc doc, bool& field) override { put(doc, field); }
  void choice(ParamDoc doc, std::string& field, std::span<const std::string_view>) override {
    put(doc, field);
  }
  void text(ParamDoc doc, std::string& field, std::string_view /*form*/) override {
    put(doc, field);
  }
  Json object = Json::object();

 private:
  template <typename T>
  void put(ParamDoc doc, const T& field) {
    object[std::string(doc.name)] = field;
  }
};

class Describer final : public ParamVisitor {
 public:
  void number(ParamDoc doc, double& field, Range range) override {
    add(doc, "number", format_range(range, "x"), Json(field).dump());
  }
  void integer(ParamDoc doc, std::int64_t& field, Range range) override {
    add(doc, "integer", format_range(range, "n"), Json(field).dump());
  }
  void flag(ParamDoc doc, bool& field) override {
    add(doc, "flag", "true | false", Json(field).dump());
  }
  void choice(ParamDoc doc, std::string& field, std::span<const std::string_view> names) override {
    add(doc, "choice", join(names), field);
  }
  void text(ParamDoc doc, std::string& field, std::string_view form) override {
    add(doc, "text", std::string(form), field);
  }
  std::vector<ParamInfo> infos;

 private:
  void add(ParamDoc doc, std::string type, std::string range, std::string value) {
    infos.push_back({std::string(doc.name), std::move(type), std::move(range), std::move(value),
                     std::string(doc.meaning)});
  }
};

}  // namespace

void read_params(Params& params, const Json& object, const Origin& origin) {
  Reader reader(object, origin);
  params.visit(reader);
  reader.finish();
  params.check(origin);
}

Json parse_key_values(std::string_view text, const Origin& origin) {
  Json object = Json::object();
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      reject(origin, "expected key=value, got '" + std::string(item) + "'");
    }
    const std::string key(item.substr(0, equals));
    if (object.contains(key)) reject(origin.at(key), "is given twice");
    object[key] = std::string(item.substr(equals + 1));
  }
  return object;
}

Json params_to_json(const Params& params) {
  Writer writer;
  // visit() is non-const because readers write; the writer only reads.
  const_cast<Params&>(params).visit(writer);
  return writer.object;
}

std::vector<ParamInfo> describe_params(const Params& defaults) {
  Describer describer;
  const_cast<Params&>(defaults).visit(describer);
  return describer.infos;
}

}  // namespace bw
