#include "quality/gate.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace bw {
namespace {

std::string number(double value) { return significant(value, 6); }

const std::vector<std::string>& statistics() {
  static const std::vector<std::string> kStatistics = {"mean", "worst", "p10"};
  return kStatistics;
}

std::optional<double> limit(JsonObject& object, const std::string& key) {
  if (object.find(key) == nullptr) return std::nullopt;
  return object.number(key);
}

Gate gate_from_json(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  Gate gate;
  gate.min = limit(object, "min");
  gate.max = limit(object, "max");
  object.finish();
  if (!gate.min && !gate.max) reject(origin, "has neither a \"min\" nor a \"max\"");
  if (gate.min && gate.max && *gate.min > *gate.max) {
    reject(origin, "min " + number(*gate.min) + " is above max " + number(*gate.max));
  }
  return gate;
}

// Where the worst value is: "frame 5", "frames 5 to 6", or nothing when the clip has one value.
std::string place(const MetricResult& result) {
  const std::string frame = std::to_string(result.worst_frame);
  switch (result.value_of) {
    case ValueOf::kFrame:
      return "frame " + frame;
    case ValueOf::kTransition:
      return "frames " + frame + " to " + std::to_string(result.worst_frame + 1);
    case ValueOf::kClip:
      return "";
  }
  BW_CHECK(false);
}

std::string violation_message(const Gate& gate, const MetricResult& result,
                              const std::string& clip) {
  const double value = statistic_of(result, gate.statistic);
  const std::string unit = result.unit.empty() ? "" : " " + result.unit;
  const bool below = gate.min && !(value >= *gate.min);
  std::string text = clip;
  text += ": " + gate.metric + " " + gate.statistic + " is " + number(value) + unit;
  text += below ? ", below the lowest allowed, " : ", above the highest allowed, ";
  text += number(below ? *gate.min : *gate.max) + unit;
  const std::string where = place(result);
  if (where.empty()) return text;
  if (gate.statistic == "worst") return text += " (" + where + ")";
  return text += " (worst: " + where + " with " + number(result.worst) + ")";
}

}  // namespace

double statistic_of(const MetricResult& result, const std::string& statistic) {
  if (statistic == "mean") return result.mean;
  if (statistic == "worst") return result.worst;
  BW_CHECK(statistic == "p10", statistic);
  return result.p10;
}

std::vector<Gate> gates_from_json(const Json& json, const Origin& origin) {
  const JsonObject object(json, origin);
  std::vector<Gate> gates;
  for (const auto& [metric, of_metric] : json.items()) {
    const Origin at_metric = origin.at(metric);
    std::ignore = find_metric(metric, at_metric);
    const JsonObject by_statistic(of_metric, at_metric);
    if (of_metric.empty()) reject(at_metric, "has no limit; say which statistic has one");
    for (const auto& [statistic, limits] : of_metric.items()) {
      const Origin at_statistic = at_metric.at(statistic);
      if (std::ranges::find(statistics(), statistic) == statistics().end()) {
        reject(at_statistic, "unknown statistic" + known_names_hint(statistic, statistics()));
      }
      Gate gate = gate_from_json(limits, at_statistic);
      gate.metric = metric;
      gate.statistic = statistic;
      gates.push_back(std::move(gate));
    }
  }
  if (gates.empty()) reject(origin, "holds no gate");
  return gates;
}

void add_gated_metrics(std::vector<MetricInfo>& chosen, std::span<const Gate> gates) {
  for (const Gate& gate : gates) {
    const bool has = std::ranges::any_of(
        chosen, [&](const MetricInfo& metric) { return metric.name == gate.metric; });
    if (!has) chosen.push_back(find_metric(gate.metric, Origin::file("gate")));
  }
}

std::vector<GateViolation> check_gates(std::span<const Gate> gates,
                                       std::span<const MetricResult> results,
                                       const std::string& clip) {
  std::vector<GateViolation> violations;
  for (const Gate& gate : gates) {
    const auto result = std::ranges::find(results, gate.metric, &MetricResult::name);
    BW_CHECK(result != results.end(), gate.metric + " has a gate but was not measured");
    const double value = statistic_of(*result, gate.statistic);
    const bool holds = (!gate.min || value >= *gate.min) && (!gate.max || value <= *gate.max);
    if (!holds) violations.push_back({gate, value, violation_message(gate, *result, clip)});
  }
  return violations;
}

std::string describe(const Gate& gate) {
  std::string text = gate.metric + " " + gate.statistic;
  if (gate.min && gate.max) {
    return text += " in [" + number(*gate.min) + ", " + number(*gate.max) + "]";
  }
  return text += gate.min ? " >= " + number(*gate.min) : " <= " + number(*gate.max);
}

}  // namespace bw
