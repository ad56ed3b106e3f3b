#include <CLI/CLI.hpp>
#include <iostream>

#include "base/error.h"
#include "cache/policy_table.h"
#include "cli/command.h"
#include "output/frame_sink.h"
#include "quality/metric.h"
#include "run/options.h"
#include "run/resolve.h"
#include "schedule/scheduler.h"

namespace bw {
namespace {

Json params_json(const std::vector<ParamInfo>& params) {
  Json json = Json::array();
  for (const ParamInfo& param : params) {
    json.push_back({{"name", param.name},
                    {"type", param.type},
                    {"range", param.range},
                    {"default", param.default_value},
                    {"meaning", param.meaning}});
  }
  return json;
}

Json list_policies() {
  Json json = Json::array();
  for (const CachePolicyInfo& policy : cache_policies()) {
    Json presets = Json::array();
    for (const PolicyPreset& preset : policy.presets) {
      presets.push_back({{"name", preset.name},
                         {"summary", preset.summary},
                         {"params", Json::parse(preset.params)}});
    }
    json.push_back({{"name", policy.name},
                    {"summary", policy.summary},
                    {"provenance", provenance_name(policy.provenance)},
                    {"params", params_json(policy.params)},
                    {"presets", presets},
                    {"tunable", Json::parse(policy.tunable)}});
  }
  return json;
}

Json list_schedulers() {
  Json json = Json::array();
  for (const SchedulerInfo& scheduler : schedulers()) {
    json.push_back({{"name", scheduler.name},
                    {"class_name", scheduler.class_name},
                    {"summary", scheduler.summary},
                    {"prediction_types", scheduler.prediction_types},
                    {"params", params_json(scheduler.params)}});
  }
  return json;
}

Json list_formats() {
  Json json = Json::array();
  for (const WriterInfo& writer : writers()) {
    json.push_back({{"name", writer.name},
                    {"summary", writer.summary},
                    {"extensions", writer.extensions},
                    {"codecs", writer.codecs}});
  }
  return json;
}

// Why a metric cannot be measured here; "" when it can.
std::string missing_asset(const MetricInfo& metric) {
  try {
    if (metric.find_asset != nullptr) std::ignore = metric.find_asset();
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

Json list_metrics() {
  Json json = Json::array();
  for (const MetricInfo& metric : metrics()) {
    json.push_back({{"name", metric.name},
                    {"summary", metric.summary},
                    {"unit", metric.unit},
                    {"of", to_string(metric.kind)},
                    {"better", to_string(metric.better)},
                    {"missing", missing_asset(metric)}});
  }
  return json;
}

Json list_options() {
  Json json = Json::array();
  for (const OptionInfo& option : options()) {
    json.push_back({{"name", option.key}, {"flags", option.flags}, {"meaning", option.meaning}});
  }
  return json;
}

Json list_presets(const std::string& model) {
  Request request;
  if (!model.empty()) request.set("model", model, Origin::flag("--model"));
  const Manifest manifest = read_manifest(find_bundle(request));
  Json json = Json::array();
  for (const auto& [name, preset] : manifest.cache_presets.items()) {
    Json row = {{"name", name},
                {"summary", name == manifest.default_cache_preset ? "the model's default" : ""}};
    row.update(preset);
    json.push_back(row);
  }
  return json;
}

void print_row(const Json& row) {
  for (const auto& [key, value] : row.items()) {
    if (key == "name") {
      std::cout << value.get<std::string>() << '\n';
    } else if (key == "params" && value.is_array()) {
      for (const Json& param : value) {
        std::cout << "    " << param.at("name").get<std::string>() << " = "
                  << param.at("default").get<std::string>() << "   ["
                  << param.at("range").get<std::string>() << "]  "
                  << param.at("meaning").get<std::string>() << '\n';
      }
    } else if (key == "presets") {
      for (const Json& preset : value) {
        std::cout << "    preset=" << preset.at("name").get<std::string>() << "  "
                  << preset.at("summary").get<std::string>() << '\n';
      }
    } else if (key == "tunable") {
      if (!value.empty()) std::cout << "    tune varies " << value.dump() << '\n';
    } else if (!(value.is_string() && value.get<std::string>().empty())) {
      std::cout << "  " << (key == "summary" ? "" : key + ": ")
                << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
    }
  }
}

void run_list(const std::string& what, const std::string& model, bool as_json) {
  if (what.empty()) {
    throw UsageError("list: say what: policies, schedulers, formats, metrics, options or presets");
  }
  const Json rows = what == "policies"     ? list_policies()
                    : what == "schedulers" ? list_schedulers()
                    : what == "formats"    ? list_formats()
                    : what == "metrics"    ? list_metrics()
                    : what == "options"    ? list_options()
                                           : list_presets(model);
  if (as_json) {
    std::cout << rows.dump(2) << '\n';
    return;
  }
  if (rows.empty()) std::cerr << "there are none\n";
  for (const Json& row : rows) print_row(row);
}

}  // namespace

std::function<void()> add_list_command(CLI::App& app, TalkOptions& talk) {
  const auto what = std::make_shared<std::string>();
  const auto model = std::make_shared<std::string>();
  app.add_option("what", *what, "policies, schedulers, formats, metrics, options or presets")
      ->check(
          CLI::IsMember({"policies", "schedulers", "formats", "metrics", "options", "presets"}));
  app.add_option("-M,--model", *model, "bundle whose presets to list");
  return [what, model, &talk] { run_list(*what, *model, talk.json); };
}

}  // namespace bw
