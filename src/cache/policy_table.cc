#include "cache/policy_table.h"

#include <string>

#include "base/check.h"

namespace bw {

#define BW_CACHE_POLICY(name) [[nodiscard]] CachePolicyInfo name##_cache_policy();
#include "cache/policies.inc"
#undef BW_CACHE_POLICY

const char* provenance_name(Provenance provenance) {
  switch (provenance) {
    case Provenance::kExact:
      return "exact";
    case Provenance::kPublishedCode:
      return "published code";
    case Provenance::kPublishedDescription:
      return "published description";
    case Provenance::kReconstruction:
      return "reconstruction";
  }
  BW_CHECK(false, "unknown provenance");
}

std::span<const CachePolicyInfo> cache_policies() {
  static const std::vector<CachePolicyInfo> kPolicies = {
#define BW_CACHE_POLICY(name) name##_cache_policy(),
#include "cache/policies.inc"
#undef BW_CACHE_POLICY
  };
  return kPolicies;
}

const CachePolicyInfo& find_cache_policy(std::string_view name, const Origin& origin) {
  std::vector<std::string> known;
  for (const CachePolicyInfo& policy : cache_policies()) {
    if (policy.name == name) return policy;
    known.emplace_back(policy.name);
  }
  reject(origin, std::string(name) + " is no cache policy" + known_names_hint(name, known));
}

std::vector<NamedPreset> named_presets() {
  std::vector<NamedPreset> named;
  for (const CachePolicyInfo& policy : cache_policies()) {
    for (const PolicyPreset& preset : policy.presets) {
      if (preset.is_name) named.push_back({&policy, &preset});
    }
  }
  return named;
}

Json preset_params(const CachePolicyInfo& policy, std::string_view preset, const Origin& origin) {
  std::vector<std::string> known;
  for (const PolicyPreset& candidate : policy.presets) {
    if (candidate.name == preset) {
      return parse_json(candidate.params, origin);
    }
    known.emplace_back(candidate.name);
  }
  const std::string hint = known.empty() ? ", which has none" : known_names_hint(preset, known);
  reject(origin, std::string(preset).append(" is no preset of ").append(policy.name).append(hint));
}

}  // namespace bw
