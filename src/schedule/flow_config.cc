#include "schedule/flow_config.h"

#include <array>
#include <vector>

namespace bw {
namespace {

constexpr std::array<std::string_view, 2> kTimeShiftTypes = {"exponential", "linear"};
constexpr std::array<std::string_view, 3> kSigmaTables = {"diffusers", "explicit",
                                                          "linear_quadratic"};

// Written by diffusers into every scheduler_config.json.
constexpr std::array<KeyRule, 2> kHeaderRules = {{
    {"_diffusers_version", "", ""},
    {"_use_default_values", "", ""},
}};

const KeyRule* find_rule(std::string_view key, std::span<const KeyRule> rules) {
  for (const KeyRule& rule : rules) {
    if (rule.key == key) return &rule;
  }
  for (const KeyRule& rule : kHeaderRules) {
    if (rule.key == key) return &rule;
  }
  return nullptr;
}

void check_rule(const KeyRule& rule, const Json& value, const Origin& origin) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (rule.only.empty() || text == rule.only) return;
  reject(origin.at(rule.key), "cannot be " + value.dump() + ": " + std::string(rule.reason) +
                                  "; use " + std::string(rule.only));
}

[[noreturn]] void reject_unknown(const std::string& key, const Json& known,
                                 std::span<const KeyRule> rules, const Origin& origin) {
  std::vector<std::string> names;
  for (const auto& [name, value] : known.items()) names.push_back(name);
  for (const KeyRule& rule : rules) names.emplace_back(rule.key);
  reject(origin.at(key), "unknown key" + known_names_hint(key, names));
}

}  // namespace

void FlowParams::visit(ParamVisitor& visitor) {
  visitor.integer({"num_train_timesteps", "time step of noise level 1"}, num_train_timesteps,
                  {1, 1e6});
  visitor.number({shift_key, "k of s(sigma) = k*sigma / (1 + (k-1)*sigma); also called flow_shift"},
                 shift, {0, 1e6, true});
  visitor.flag({"use_dynamic_shifting", "take the shift from the number of tokens instead"},
               use_dynamic_shifting);
  visitor.number({"base_shift", "mu at base_image_seq_len tokens"}, base_shift, {-100, 100});
  visitor.number({"max_shift", "mu at max_image_seq_len tokens"}, max_shift, {-100, 100});
  visitor.integer({"base_image_seq_len", "tokens at which mu is base_shift"}, base_image_seq_len,
                  {1, 1e9});
  visitor.integer({"max_image_seq_len", "tokens at which mu is max_shift"}, max_image_seq_len,
                  {1, 1e9});
  visitor.choice({"time_shift_type", "the dynamic shift k is exp(mu) or mu"}, time_shift_type,
                 kTimeShiftTypes);
  visitor.number({"shift_terminal", "stretch the levels so that the last is this one; 0: do not"},
                 shift_terminal, {0, 0.999});
}

void FlowParams::check(const Origin& origin) const {
  if (base_image_seq_len != max_image_seq_len) return;
  reject(origin.at("max_image_seq_len"), "must differ from base_image_seq_len (both are " +
                                             std::to_string(max_image_seq_len) +
                                             "): mu is a line through the two");
}

void FlowTableParams::visit(ParamVisitor& visitor) {
  FlowParams::visit(visitor);
  visitor.choice({"sigmas",
                  "levels before the shift: what diffusers takes when it is given none, "
                  "1 - i/n, or Mochi's linear-quadratic ones"},
                 sigmas, kSigmaTables);
}

void FlowMatchParams::visit(ParamVisitor& visitor) {
  FlowTableParams::visit(visitor);
  visitor.flag({"invert_sigmas", "the model counts its time from noise (0) to data (1): Mochi"},
               invert_sigmas);
}

void read_flow_config(FlowParams& params, const Json& config, std::span<const KeyRule> rules,
                      const Origin& origin) {
  if (!config.is_object()) {
    reject(origin, "must be an object of scheduler settings, got " + json_type_name(config));
  }
  const auto is_set = [&config](const char* key) {
    return config.contains(key) && !config[key].is_null();
  };
  if (is_set("flow_shift")) {
    if (is_set("shift")) {
      reject(origin.at("flow_shift"), "is another name of shift, which is given too; remove one");
    }
    params.shift_key = "flow_shift";
  }
  const Json known = params_to_json(params);
  Json own = Json::object();
  for (const auto& [key, value] : config.items()) {
    if (known.contains(key) || key == "shift" || key == "flow_shift") {
      if (!value.is_null()) own[key] = value;
    } else if (const KeyRule* rule = find_rule(key, rules); rule != nullptr) {
      check_rule(*rule, value, origin);
    } else {
      reject_unknown(key, known, rules, origin);
    }
  }
  read_params(params, own, origin);
}

}  // namespace bw
