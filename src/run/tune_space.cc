#include "run/tune_space.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "base/error.h"
#include "base/text.h"

namespace bw {
namespace {

constexpr const char* kFlag = "--vary";

const ParamInfo& find_param(const CachePolicyInfo& policy, const std::string& name) {
  std::vector<std::string> known;
  for (const ParamInfo& param : policy.params) {
    if (param.name == name) return param;
    known.push_back(param.name);
  }
  reject(Origin::flag(kFlag), "the policy '" + std::string(policy.name) + "' has no parameter '" +
                                  name + "'" + known_names_hint(name, known));
}

// Numbers as numbers, everything else as text: read_params takes both.
Json value_of(const std::string& text) {
  const Json number = Json::parse(text, nullptr, false);
  return number.is_number() ? number : Json(text);
}

double number_of(const std::string& text, const Origin& origin) {
  const Json value = value_of(text);
  if (!value.is_number()) reject(origin, "'" + text + "' is no number");
  return value.get<double>();
}

// Three digits are what a threshold can be told apart by.
double rounded(double value) { return std::strtod(significant(value, 3).c_str(), nullptr); }

std::vector<Json> range_values(const std::string& text, const Origin& origin) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  if (parts.size() != 3) reject(origin, "'" + text + "' is no range; write LOW:HIGH:COUNT");
  const double low = number_of(parts[0], origin);
  const double high = number_of(parts[1], origin);
  const double count = number_of(parts[2], origin);
  if (!(count >= 2 && count <= 1000 && std::floor(count) == count)) {
    reject(origin, "COUNT must be a whole number from 2 to 1000, got " + parts[2]);
  }
  if (!(low < high)) reject(origin, "LOW must be below HIGH in '" + text + "'");
  std::vector<Json> values;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    const double value = rounded(low + (high - low) * i / (count - 1));
    if (values.empty() || values.back() != Json(value)) values.emplace_back(value);
  }
  return values;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

TuneAxis parse_tune_axis(const std::string& text, const CachePolicyInfo& policy) {
  const Origin flag = Origin::flag(kFlag);
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    reject(flag, "expected PARAM=VALUES, got '" + text + "'");
  }
  TuneAxis axis;
  axis.param = text.substr(0, equals);
  const ParamInfo& param = find_param(policy, axis.param);
  const std::string values = text.substr(equals + 1);
  const Origin origin = flag.at(axis.param);
  if (values == "auto") {
    if (param.type != "number") {
      reject(origin, "is " + param.type +
                         ", and only a threshold can be chosen by itself; "
                         "write its values");
    }
    axis.is_auto = true;
    return axis;
  }
  if (std::count(values.begin(), values.end(), ':') == 2 && param.type != "text") {
    axis.values = range_values(values, origin);
    return axis;
  }
  std::istringstream parts(values);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part.empty()) reject(origin, "has an empty value in '" + values + "'");
    axis.values.push_back(value_of(part));
  }
  return axis;
}

std::vector<TuneAxis> default_tune_axes(const CachePolicyInfo& policy) {
  std::vector<TuneAxis> axes;
  const Json tunable = Json::parse(policy.tunable);
  for (const auto& [param, values] : tunable.items()) {
    TuneAxis axis{param, {}, values == "auto"};
    if (!axis.is_auto) axis.values.assign(values.begin(), values.end());
    axes.push_back(std::move(axis));
  }
  if (axes.empty()) {
    reject(Origin::flag("--cache"), "the policy '" + std::string(policy.name) +
                                        "' has nothing to tune by itself; name parameters with "
                                        "--vary, or choose another, e.g. --cache bwcache");
  }
  return axes;
}

std::vector<TuneCandidate> tune_candidates(const std::vector<TuneAxis>& axes,
                                           const CachePlan& base) {
  const CachePolicyInfo& info = find_cache_policy(base.policy, Origin::flag("--cache"));
  std::vector<TuneCandidate> candidates = {{"", Json::object(), base}};
  for (const TuneAxis& axis : axes) {
    std::vector<TuneCandidate> grown;
    for (const TuneCandidate& candidate : candidates) {
      for (const Json& value : axis.values) {
        TuneCandidate next = candidate;
        next.values[axis.param] = value;
        if (!next.label.empty()) next.label += ",";
        next.label += axis.param;
        next.label += "=";
        next.label += text_of(value);
        grown.push_back(std::move(next));
      }
    }
    candidates = std::move(grown);
  }
  for (TuneCandidate& candidate : candidates) {
    Json params = base.params;
    params.update(candidate.values);
    candidate.cache.params = info.resolve(params, Origin::flag(kFlag));
    candidate.cache.preset.clear();
  }
  return candidates;
}

}  // namespace bw
