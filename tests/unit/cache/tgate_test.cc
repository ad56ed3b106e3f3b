// T-GATE's masks by hand from the released code's rule: before gate − 1 self-attention is reused
// after step warm_up, but at every sp_interval-th step; gate − 1 computes all; from the gate on
// attention to the text is frozen and guidance is off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/policy_table.h"

namespace bw::testing {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kStages = {"self_attention", "cross_attention", "feed_forward"};

std::unique_ptr<CachePolicy> make_tgate(const Json& params, std::int64_t num_steps,
                                        const std::vector<std::string>& stages = kStages) {
  const Origin origin = Origin::flag("--cache tgate");
  const CachePolicyInfo& info = find_cache_policy("tgate", origin);
  RunShape shape{num_steps, {2}};
  shape.stages = {{stages, stages}};
  return info.make(info.resolve(params, origin), origin, shape);
}

struct Masks {
  std::string self;  // per step c or r, of block 0
  std::string text;
  std::string uncond;  // g = its prediction is the conditional one, c = it runs
};

Masks masks_of(const CachePolicy& policy, std::int64_t num_steps) {
  Masks masks;
  for (std::int64_t step = 0; step < num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = step;
    context.num_steps = num_steps;
    context.guided = true;
    const EvaluationPlan plan = policy.begin(context);
    const BranchPlan& cond = plan.branches[0];
    const BranchPlan& uncond = plan.branches[1];
    const bool by_stages = cond.reuse == Site::kStage;
    masks.self += by_stages && cond.stages[0][0] ? 'r' : 'c';
    masks.text += by_stages && cond.stages[0][1] ? 'r' : 'c';
    EXPECT_FALSE(by_stages && cond.stages[0][2]) << "feed-forwards run";
    const bool is_off = uncond.reuse == Site::kCfg;
    masks.uncond += is_off ? 'g' : 'c';
    if (is_off) {
      EXPECT_EQ(uncond.cfg, (CfgWeights{0, 0}));
    } else {
      EXPECT_EQ(uncond, cond) << "before the gate the branches are alike";
    }
    EXPECT_EQ(cond.mean_of_branches, is_off) << "step " << step;
  }
  return masks;
}

struct Row {
  const char* reason;
  Json params;
  const char* self;
  const char* text;
};

TEST(Tgate_Masks, Of25Steps) {
  const Row rows[] = {
      {"gate 10, every 5th, warm-up 2: 5 is computed, and 9 = gate - 1",
       {{"gate", "40%"}, {"interval", 5}},
       "cccrrcrrrcccccccccccccccc",
       "ccccccccccrrrrrrrrrrrrrrr"},
      {"gate 15, every 3rd",
       {{"gate", 15}, {"interval", 3}},
       "ccccrrcrrcrrcrccccccccccc",
       "cccccccccccccccrrrrrrrrrr"},
      {"self-attention always runs",
       {{"gate", 10}, {"interval", 1}},
       "ccccccccccccccccccccccccc",
       "ccccccccccrrrrrrrrrrrrrrr"},
      {"the gate behind the run",
       {{"gate", 30}, {"interval", 5}, {"warmup_steps", 20}},
       "cccccccccccccccccccccrrrr",
       "ccccccccccccccccccccccccc"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.reason);
    const Masks masks = masks_of(*make_tgate(row.params, 25), 25);
    EXPECT_EQ(masks.self, row.self);
    EXPECT_EQ(masks.text, row.text);
    std::string uncond = row.text;
    for (char& letter : uncond) letter = letter == 'r' ? 'g' : 'c';
    EXPECT_EQ(masks.uncond, uncond);
  }
}

TEST(Tgate_Masks, Unguided_FreezesItsOwn) {
  const auto policy = make_tgate(Json::object(), 25);
  EvaluationContext context;
  context.index = context.step = 12;
  context.num_steps = 25;
  const BranchPlan cond = policy->begin(context).branches[0];
  EXPECT_EQ(cond.reuse, Site::kStage);
  EXPECT_FALSE(cond.mean_of_branches);
}

TEST(Tgate_Needs, OnlyWhatIsReused_IsKept) {
  const std::vector<StageRef> both = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  EXPECT_EQ(make_tgate(Json::object(), 25)->needs().reusable_stages,
            std::vector<std::vector<StageRef>>{both});
  const std::vector<StageRef> text = {{0, 1}, {1, 1}};
  EXPECT_EQ(make_tgate(Json{{"interval", 1}}, 25)->needs().reusable_stages,
            std::vector<std::vector<StageRef>>{text});
}

TEST(Tgate_Needs, ModelWithoutAttentionToTheText_IsRefused) {
  try {
    (void)make_tgate(Json::object(), 25, {"self_attention", "feed_forward"});
    ADD_FAILURE() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no stage"));
    EXPECT_THAT(error.what(), HasSubstr("cross_attention"));
  }
}

}  // namespace
}  // namespace bw::testing
