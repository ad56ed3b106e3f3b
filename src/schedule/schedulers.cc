#include <algorithm>
#include <array>

#include "schedule/scheduler.h"

namespace bw {

#define BW_SCHEDULER(name) SchedulerInfo name##_scheduler();
#include "schedule/schedulers.inc"
#undef BW_SCHEDULER

namespace {

// Keys that mean the same to every flow scheduler; flow_shift and sigmas are treated apart.
constexpr std::array<std::string_view, 10> kSharedKeys = {
    "num_train_timesteps", "shift",          "use_dynamic_shifting", "base_shift",
    "max_shift",           "shift_terminal", "base_image_seq_len",   "max_image_seq_len",
    "time_shift_type",     "invert_sigmas"};

bool has_param(const SchedulerInfo& info, std::string_view key) {
  return std::any_of(info.params.begin(), info.params.end(),
                     [key](const ParamInfo& param) { return param.name == key; });
}

}  // namespace

std::span<const SchedulerInfo> schedulers() {
  static const std::vector<SchedulerInfo> kTable = {
#define BW_SCHEDULER(name) name##_scheduler(),
#include "schedule/schedulers.inc"
#undef BW_SCHEDULER
  };
  return kTable;
}

const SchedulerInfo& find_scheduler(std::string_view name, const Origin& origin) {
  std::vector<std::string> known;
  for (const SchedulerInfo& info : schedulers()) {
    if (info.name == name || info.class_name == name) return info;
    known.emplace_back(info.name);
  }
  for (const SchedulerInfo& info : schedulers()) known.emplace_back(info.class_name);
  reject(origin, "unknown scheduler '" + std::string(name) + "'" + known_names_hint(name, known));
}

void check_prediction_type(const SchedulerInfo& info, std::string_view type, const Origin& origin) {
  const std::vector<std::string>& known = info.prediction_types;
  if (std::find(known.begin(), known.end(), type) != known.end()) return;
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  reject(origin, "scheduler '" + std::string(info.name) + "' cannot use a model that predicts '" +
                     std::string(type) + "'; it takes " + list);
}

Json config_for(const SchedulerInfo& info, const Json& bundle_config) {
  const auto class_name = bundle_config.find("_class_name");
  if (class_name != bundle_config.end() && *class_name == std::string(info.class_name)) {
    return bundle_config;
  }
  Json config = Json::object();
  config["_class_name"] = std::string(info.class_name);
  const auto carry = [&](std::string_view from, std::string_view to) {
    const auto found = bundle_config.find(std::string(from));
    if (found != bundle_config.end() && !found->is_null()) config[std::string(to)] = *found;
  };
  carry("flow_shift", "shift");
  for (const std::string_view key : kSharedKeys) carry(key, key);
  if (has_param(info, "sigmas")) carry("sigmas", "sigmas");
  return config;
}

Json with_shift(Json config, double shift) {
  config.erase("flow_shift");
  config["shift"] = shift;
  config["use_dynamic_shifting"] = false;
  return config;
}

}  // namespace bw
