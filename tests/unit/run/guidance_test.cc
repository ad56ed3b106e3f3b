#include "run/guidance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

Predictions example() {
  const at::Tensor cond = at::arange(8, at::kFloat).reshape({1, 1, 2, 2, 2});
  return {cond, at::ones_like(cond)};
}

TEST(Guidance_Active, Interval_IsHalfOpenInSteps) {
  const Guidance guidance({.enabled = true, .start = 0.25, .end = 0.75}, 8);
  std::vector<bool> active;
  for (int step = 0; step < 8; ++step) active.push_back(guidance.active(step));
  EXPECT_EQ(active, (std::vector<bool>{false, false, true, true, true, true, false, false}));
}

TEST(Guidance_Active, Disabled_NeverActs) {
  EXPECT_FALSE(Guidance({.enabled = false}, 8).active(3));
}

TEST(Guidance_Combine, Scale_MovesAwayFromUncond) {
  const Predictions both = example();
  const at::Tensor guided = Guidance({.enabled = true, .scale = 3}, 8).combine(both);
  EXPECT_TRUE(at::equal(guided, 3 * *both.cond - 2 * *both.uncond));  // small integers: exact
}

TEST(Guidance_Combine, OneBranch_PassesThrough) {
  Predictions one = example();
  one.uncond.reset();
  EXPECT_TRUE(at::equal(Guidance({.enabled = true, .scale = 3}, 8).combine(one), *one.cond));
}

TEST(Guidance_Combine, FullRescale_RestoresDeviationOfCond) {
  const Predictions both = example();
  const at::Tensor guided = Guidance({.enabled = true, .scale = 3, .rescale = 1}, 8).combine(both);
  EXPECT_NEAR(guided.std().item<double>(), both.cond->std().item<double>(), 1e-6);
}

}  // namespace
}  // namespace bw
