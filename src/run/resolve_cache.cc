// Which policy runs, with which parameters and guards, out of four places: a model's preset,
// --cache or the config's `cache`, --threshold, and the guard flags; the later wins.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "cache/policy_table.h"
#include "run/options.h"
#include "run/resolve.h"

namespace bw {
namespace {

struct CacheAsk {
  Json object = Json::object();  // policy, preset, guards and parameters, flat
  Origin origin;
};

// Guards by their name in a config's `cache` and their option.
struct GuardKey {
  const char* name;
  const char* option;
};
constexpr GuardKey kGuardKeys[] = {{"start", "cache_start"},
                                   {"end", "cache_end"},
                                   {"warmup", "cache_warmup"},
                                   {"cooldown", "cache_cooldown"},
                                   {"max_consecutive", "cache_max_consecutive"},
                                   {"budget", "cache_budget"},
                                   {"replay", "cache_replay"},
                                   {"shadow", "cache_shadow"},
                                   {"fail_if_inert", "fail_if_inert"}};

bool is_policy(const std::string& name) {
  const auto all = cache_policies();
  return std::any_of(all.begin(), all.end(),
                     [&](const CachePolicyInfo& info) { return info.name == name; });
}

std::optional<NamedPreset> find_named_preset(const std::string& name) {
  for (const NamedPreset& named : named_presets()) {
    if (named.preset->name == name) return named;
  }
  return std::nullopt;
}

Json model_preset(const Manifest& manifest, const std::string& name) {
  return manifest.cache_presets.at(name).at("cache");
}

// "bwcache:threshold=0.04", "balanced", "balanced:reuse_interval=2"
CacheAsk ask_from_text(const std::string& text, const Manifest& manifest, const Origin& origin) {
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const Json overrides = parse_key_values(
      colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1), origin);
  CacheAsk ask;
  ask.origin = origin.kind == Origin::Kind::kFlag ? Origin::flag(origin.name + " " + name) : origin;
  if (is_policy(name)) {
    ask.object["policy"] = name;
  } else if (manifest.cache_presets.contains(name)) {
    ask.object = model_preset(manifest, name);
    ask.object["model_preset"] = name;
  } else if (const auto named = find_named_preset(name)) {
    ask.object["policy"] = named->policy->name;
    ask.object["preset"] = name;
  } else {
    std::vector<std::string> known;
    for (const CachePolicyInfo& info : cache_policies()) known.emplace_back(info.name);
    for (const NamedPreset& preset : named_presets()) known.emplace_back(preset.preset->name);
    for (const auto& [preset, value] : manifest.cache_presets.items()) known.push_back(preset);
    reject(origin, "unknown policy or preset '" + name + "'" + known_names_hint(name, known));
  }
  for (const auto& [key, value] : overrides.items()) ask.object[key] = value;
  return ask;
}

CacheAsk find_ask(const Request& request, const Manifest& manifest) {
  if (const Request::Entry* entry = request.find("cache")) {
    if (entry->value.is_string()) {
      return ask_from_text(entry->value.get<std::string>(), manifest, entry->origin);
    }
    return {entry->value, entry->origin};
  }
  if (request.has("cache_threshold")) {
    return {Json{{"policy", "bwcache"}}, request.origin("cache_threshold")};
  }
  if (!manifest.default_cache_preset.empty() && !request.has("cache_replay")) {
    CacheAsk ask{model_preset(manifest, manifest.default_cache_preset),
                 Origin::file("model.json: cache_presets." + manifest.default_cache_preset)};
    ask.object["model_preset"] = manifest.default_cache_preset;
    return ask;
  }
  return {Json{{"policy", "none"}}, Origin::flag("--cache")};
}

Json take(Json& object, const char* key) {
  Json value;
  if (object.contains(key)) {
    value = object.at(key);
    object.erase(key);
  }
  return value;
}

// Guards of the `cache` object as a request, then the flags over them.
Request guard_request(const Request& request, CacheAsk& ask) {
  Request guards;
  for (const GuardKey& guard : kGuardKeys) {
    if (const Json value = take(ask.object, guard.name); !value.is_null()) {
      guards.set(guard.option, value, ask.origin.at(guard.name));
    }
    if (const Request::Entry* entry = request.find(guard.option)) {
      guards.adopt(guard.option, *entry);
    }
  }
  return guards;
}

void fill_guards(const Request& guards, CachePlan& plan) {
  plan.start = guards.number("cache_start").value_or(0);
  plan.end = guards.number("cache_end").value_or(1);
  plan.warmup = guards.integer("cache_warmup").value_or(0);
  plan.cooldown = guards.integer("cache_cooldown").value_or(0);
  plan.max_consecutive = guards.integer("cache_max_consecutive").value_or(0);
  if (const auto* budget = guards.find("cache_budget"))
    plan.budget_bytes = budget->value.get<std::uint64_t>();
  plan.replay = guards.path("cache_replay");
  plan.shadow = guards.flag("cache_shadow");
  plan.fail_if_inert = guards.flag("fail_if_inert");
  if (plan.start > plan.end) reject(guards.origin("cache_start"), "must not be after --cache-end");
}

void fill_policy(const Request& request, CacheAsk& ask, CachePlan& plan) {
  if (const Json preset = take(ask.object, "model_preset"); !preset.is_null())
    plan.preset = preset.get<std::string>();
  const Json name = take(ask.object, "policy");
  if (name.is_null())
    reject(ask.origin.at("policy"), "is missing; `list policies` shows the choices");
  if (!name.is_string())
    reject(ask.origin.at("policy"), "must be text, got " + json_type_name(name));
  const CachePolicyInfo& info = find_cache_policy(name.get<std::string>(), ask.origin.at("policy"));
  plan.policy = info.name;
  Json params = Json::object();
  if (const Json preset = take(ask.object, "preset"); !preset.is_null()) {
    if (!preset.is_string())
      reject(ask.origin.at("preset"), "must be text, got " + json_type_name(preset));
    plan.preset = preset.get<std::string>();
    params = preset_params(info, plan.preset, ask.origin.at("preset"));
  }
  params.update(ask.object);
  if (const Request::Entry* threshold = request.find("cache_threshold")) {
    const bool takes_it =
        std::any_of(info.params.begin(), info.params.end(),
                    [](const ParamInfo& param) { return param.name == "threshold"; });
    if (!takes_it) {
      reject(threshold->origin,
             "the policy '" + plan.policy + "' has no threshold; try --cache bwcache");
    }
    params["threshold"] = threshold->value;
  }
  plan.params = info.resolve(params, ask.origin);
}

}  // namespace

std::vector<std::string> reserved_cache_names() {
  std::vector<std::string> names = {"policy", "preset", "model_preset"};
  for (const GuardKey& guard : kGuardKeys) names.emplace_back(guard.name);
  return names;
}

CachePlan resolve_cache(const Request& request, const Manifest& manifest) {
  CacheAsk ask = find_ask(request, manifest);
  CachePlan plan;
  const Request guards = guard_request(request, ask);
  fill_guards(guards, plan);
  if (plan.replay) {
    for (const char* key : {"cache", "cache_threshold"}) {
      if (request.has(key) && !request.find(key)->value.is_object()) {
        reject(request.origin(key),
               "cannot be given together with --cache-replay, which repeats recorded decisions");
      }
    }
    CachePlan replay;
    replay.policy = "replay";
    replay.replay = plan.replay;
    replay.budget_bytes = plan.budget_bytes;
    replay.shadow = plan.shadow;
    replay.fail_if_inert = plan.fail_if_inert;
    return replay;
  }
  fill_policy(request, ask, plan);
  if (plan.shadow && plan.policy == "none") {
    reject(guards.origin("cache_shadow"),
           "has nothing to measure without a cache; choose one, such as --cache bwcache");
  }
  return plan;
}

}  // namespace bw
