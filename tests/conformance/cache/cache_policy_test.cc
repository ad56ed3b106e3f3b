// Every policy of the table, with its defaults and each preset, on every kind of run.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/cache_conformance.h"

namespace bw::testing {
namespace {

std::vector<SubjectOptions> all_subjects() {
  return {{.name = "plain"},
          {.name = "few steps", .num_steps = 2},
          {.name = "one step", .num_steps = 1},
          {.name = "bf16", .dtype = at::kBFloat16},
          {.name = "batched", .batched = true},
          {.name = "heun", .heun = true},
          {.name = "interval", .guidance_start = 0.2, .guidance_end = 0.7},
          {.name = "interval batched", .batched = true, .guidance_start = 0.2, .guidance_end = 0.7},
          {.name = "hole", .hole_start = 0.55, .hole_end = 0.7},
          {.name = "unguided", .guidance_end = 0},
          {.name = "experts", .num_experts = 2},
          {.name = "everything",
           .heun = true,
           .batched = true,
           .guidance_start = 0.1,
           .guidance_end = 0.8,
           .hole_start = 0.3,
           .hole_end = 0.4,
           .num_experts = 2,
           .dtype = at::kBFloat16}};
}

class CachePolicyConformance : public ::testing::TestWithParam<SubjectOptions> {};

TEST_P(CachePolicyConformance, EveryPolicy_EveryPreset_KeepsTheRules) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject(GetParam(), &counts);
  // A batch of two in bf16 may round a whole unit differently.
  const ConformanceOptions options{GetParam().dtype == at::kFloat ? 1e-5 : 0.05};
  for (const CachePolicyInfo& policy : cache_policies()) {
    const bool any_reuse = check_cache_policy(subject, policy, options);
    if (!supports(subject, policy, Json::object())) continue;
    const bool can_reuse = !make_policy_for(subject, policy, Json::object())->needs().sites.empty();
    if (GetParam().num_steps > 2) {
      EXPECT_EQ(any_reuse, can_reuse) << policy.name << " never reused on " << subject.name;
    }
  }
}

std::string test_name(const ::testing::TestParamInfo<SubjectOptions>& info) {
  std::string name = info.param.name;
  for (char& letter : name) letter = letter == ' ' ? '_' : letter;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Runs, CachePolicyConformance, ::testing::ValuesIn(all_subjects()),
                         test_name);

}  // namespace
}  // namespace bw::testing
