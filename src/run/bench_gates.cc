#include "run/bench_gates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "run/plan_differences.h"

namespace bw {
namespace {

std::string text_of(double value) { return significant(value, 4); }

std::string quoted(const std::string& name) {
  std::string text = "'";
  return text.append(name).append("'");
}

// Every number of an arm by its path.
void add_numbers(const Json& json, const std::string& path, Json& numbers) {
  if (json.is_number()) numbers[path] = json;
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    std::string place = path;
    if (!place.empty()) place += ".";
    place += key;
    add_numbers(value, place, numbers);
  }
}

Json numbers_of(const Json& arm) {
  Json numbers = Json::object();
  for (const char* key : {"seconds", "share", "speedup", "computed_fraction", "cache_bytes",
                          "peak_memory_bytes", "quality"}) {
    add_numbers(arm.at(key), key, numbers);
  }
  return numbers;
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

std::optional<double> limit_of(JsonObject& limit, const char* key) {
  return limit.has(key) ? std::optional(limit.number(key)) : std::nullopt;
}

void check_arm(const Json& arm, const Json& limits, const Origin& origin,
               std::vector<std::string>& violations) {
  const Json numbers = numbers_of(arm);
  const std::string name = arm.at("name").get<std::string>();
  JsonObject by_path(limits, origin);
  for (const auto& [path, value] : limits.items()) {
    if (!numbers.contains(path)) {
      reject(origin, quoted(path)
                         .append(" is no number of the arm ")
                         .append(quoted(name))
                         .append(known_names_hint(path, keys_of(numbers))));
    }
    JsonObject limit(value, origin.at(path));
    const std::optional<double> low = limit_of(limit, "min");
    const std::optional<double> high = limit_of(limit, "max");
    limit.finish();
    if (!low && !high) reject(origin.at(path), "needs a \"min\" or a \"max\"");
    const double got = numbers.at(path).get<double>();
    const bool holds = (!low || got >= *low) && (!high || got <= *high);
    if (holds) continue;
    const bool is_low = low && !(got >= *low);
    std::string text = name;
    text.append(": ").append(path).append(" is ").append(text_of(got)).append(", the limit is ");
    text.append(is_low ? "at least " : "at most ").append(text_of(is_low ? *low : *high));
    violations.push_back(std::move(text));
  }
}

const Json* find_arm(const Json& summary, const std::string& name) {
  for (const Json& arm : summary.at("arms")) {
    if (arm.at("name") == name) return &arm;
  }
  return nullptr;
}

std::vector<std::string> arm_names(const Json& summary) {
  std::vector<std::string> names = {"*"};
  for (const Json& arm : summary.at("arms")) names.push_back(arm.at("name").get<std::string>());
  return names;
}

double number_at(const Json& arm, const char* pointer) {
  return arm.at(Json::json_pointer(pointer)).get<double>();
}

// "base: seconds.denoise is 2.1, it was 1.5: more than 10 % worse"
class ArmComparison {
 public:
  ArmComparison(const Json& now, const Json& before, std::vector<std::string>& violations)
      : now_(now), before_(before), violations_(violations) {}

  void at_most(const char* pointer, double factor, double slack, const std::string& allowed) {
    compare(
        pointer, [&](double got, double was) { return got <= was * factor + slack; }, allowed);
  }
  void at_least(const char* pointer, double factor, double slack, const std::string& allowed) {
    compare(
        pointer, [&](double got, double was) { return got >= was * factor - slack; }, allowed);
  }

 private:
  void compare(const char* pointer, const std::function<bool(double, double)>& holds,
               const std::string& allowed) {
    const double got = number_at(now_, pointer);
    const double was = number_at(before_, pointer);
    if (holds(got, was)) return;
    std::string text = now_.at("name").get<std::string>();
    text.append(": ").append(pointer + 1).append(" is ").append(text_of(got));
    text.append(", it was ").append(text_of(was)).append(" (allowed: ").append(allowed).append(")");
    violations_.push_back(std::move(text));
  }

  const Json& now_;
  const Json& before_;
  std::vector<std::string>& violations_;
};

void compare_arm(const Json& now, const Json& before, const BaselineTolerance& tolerance,
                 BaselineResult& result) {
  ArmComparison comparison(now, before, result.violations);
  const std::string slower = text_of(100 * tolerance.slower) + " % slower";
  const std::string memory = text_of(100 * tolerance.memory) + " % more";
  if (result.same_machine) {
    comparison.at_most("/seconds/denoise/median", 1 + tolerance.slower, 0, slower);
    comparison.at_most("/peak_memory_bytes", 1 + tolerance.memory, 0, memory);
  }
  comparison.at_least("/speedup/denoise", 1 - tolerance.slower, 0, slower);
  comparison.at_most("/cache_bytes", 1 + tolerance.memory, 0, memory);
  const std::string share = text_of(100 * tolerance.computed_fraction) + " points";
  comparison.at_most("/computed_fraction", 1, tolerance.computed_fraction, share);
  comparison.at_least("/computed_fraction", 1, tolerance.computed_fraction, share);
  if (before.at("quality").contains("psnr")) {
    comparison.at_least("/quality/psnr", 1, tolerance.psnr, text_of(tolerance.psnr) + " dB less");
  }
}

void check_same_work(const Json& summary, const Json& baseline, const Origin& origin) {
  std::vector<std::string> differences;
  if (baseline.at("bundle") != summary.at("bundle")) {
    differences.emplace_back("bundle.sha256: another model");
  }
  for (const char* key : {"prompts", "seeds"}) {
    if (baseline.at(key) != summary.at(key)) differences.push_back(std::string(key) + ": others");
  }
  for (const Json& before : baseline.at("arms")) {
    const std::string name = before.at("name").get<std::string>();
    const Json* now = find_arm(summary, name);
    if (now == nullptr) {
      differences.push_back(std::string("the arm ").append(quoted(name)).append(" is missing"));
      continue;
    }
    for (const std::string& difference : plan_differences(before.at("plan"), now->at("plan"))) {
      std::string text = "arm ";
      differences.push_back(text.append(quoted(name)).append(": ").append(difference));
    }
  }
  if (differences.empty()) return;
  std::string message = "measured something else:";
  for (const std::string& difference : differences) message += "\n  " + difference;
  reject(origin, message);
}

}  // namespace

std::vector<std::string> check_limits(const Json& summary, const Json& limits,
                                      const Origin& origin) {
  const std::vector<std::string> names = arm_names(summary);
  JsonObject by_arm(limits, origin);
  for (const auto& [name, value] : limits.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      reject(origin, quoted(name).append(" is no arm").append(known_names_hint(name, names)));
    }
    if (!value.is_object()) {
      reject(origin.at(name), "must be an object, got " + json_type_name(value));
    }
  }
  std::vector<std::string> violations;
  const Json& arms = summary.at("arms");
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const std::string name = arms[i].at("name").get<std::string>();
    if (i > 0 && limits.contains("*")) {
      check_arm(arms[i], limits.at("*"), origin.at("*"), violations);
    }
    if (limits.contains(name)) check_arm(arms[i], limits.at(name), origin.at(name), violations);
  }
  return violations;
}

BaselineResult check_baseline(const Json& summary, const Json& baseline,
                              const BaselineTolerance& tolerance, const Origin& origin) {
  JsonObject object(baseline, origin);
  if (!object.has("kind") || object.text("kind") != summary.at("kind")) {
    reject(origin, "is no result of bench --save");
  }
  if (object.require("format_version") != summary.at("format_version")) {
    reject(object.at("format_version"), "is another than this program writes (" +
                                            summary.at("format_version").dump() +
                                            "); measure it again");
  }
  check_same_work(summary, baseline, origin);
  BaselineResult result;
  result.same_machine = baseline.at("environment") == summary.at("environment");
  for (const Json& before : baseline.at("arms")) {
    compare_arm(*find_arm(summary, before.at("name").get<std::string>()), before, tolerance,
                result);
  }
  return result;
}

}  // namespace bw
