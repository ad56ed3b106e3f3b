// How two plans differ, for results that are compared with recorded ones.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace bw {

// Where a recorded plan and the present one differ: "plan.steps: recorded 12, now 8". Keys that the
// record lacks are no difference: a later program has more of them.
[[nodiscard]] std::vector<std::string> plan_differences(const Json& recorded, const Json& now);

}  // namespace bw
