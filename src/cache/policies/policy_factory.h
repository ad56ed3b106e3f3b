// What every policy's row needs: reading its parameter struct from JSON and making the object.
#pragma once

#include <memory>

#include "cache/policy_table.h"

namespace bw {

template <typename PolicyParams>
Json resolve_policy_params(const Json& json, const Origin& origin) {
  PolicyParams params;
  read_params(params, json, origin);
  return params_to_json(params);
}

// Policy is constructible from (const PolicyParams&, const Origin&, const RunShape&).
template <typename Policy, typename PolicyParams>
std::unique_ptr<CachePolicy> make_policy(const Json& json, const Origin& origin,
                                         const RunShape& shape) {
  PolicyParams params;
  read_params(params, json, origin);
  return std::make_unique<Policy>(params, origin, shape);
}

}  // namespace bw
