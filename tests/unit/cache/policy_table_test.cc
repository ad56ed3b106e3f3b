#include "cache/policy_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace bw {
namespace {

const Origin kOrigin = Origin::flag("--cache");

TEST(PolicyTable_Find, UnknownName_NamesTheNearest) {
  EXPECT_EQ(find_cache_policy("static", kOrigin).name, "static");
  try {
    (void)find_cache_policy("bwcash", kOrigin);
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("did you mean 'bwcache'?"));
  }
}

TEST(PolicyTable_Preset, UnknownName_NamesTheNearestOrThatThereAreNone) {
  const CachePolicyInfo& bwcache = find_cache_policy("bwcache", kOrigin);
  EXPECT_THAT([&] { (void)preset_params(bwcache, "publishd", kOrigin); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("'published'")));
  const CachePolicyInfo& none = find_cache_policy("none", kOrigin);
  EXPECT_THAT([&] { (void)preset_params(none, "fast", kOrigin); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("which has none")));
}

TEST(PolicyTable_Rows, EveryPolicy_IsDescribedAndResolves) {
  std::set<std::string_view> names;
  for (const CachePolicyInfo& policy : cache_policies()) {
    SCOPED_TRACE(policy.name);
    EXPECT_TRUE(names.insert(policy.name).second) << "twice";
    EXPECT_FALSE(policy.summary.empty());
    EXPECT_STRNE(provenance_name(policy.provenance), "");
    const Json defaults = policy.resolve(Json::object(), kOrigin);
    EXPECT_EQ(defaults.size(), policy.params.size());
    EXPECT_EQ(policy.resolve(defaults, kOrigin), defaults) << "what is printed can be read";
    for (const PolicyPreset& preset : policy.presets) {
      const Json params = preset_params(policy, preset.name, kOrigin);
      EXPECT_NO_THROW((void)policy.resolve(params, kOrigin)) << preset.name;
      EXPECT_FALSE(preset.summary.empty());
    }
    EXPECT_THROW((void)policy.resolve({{"no_such_key", 1}}, kOrigin), UsageError);
  }
}

}  // namespace
}  // namespace bw
