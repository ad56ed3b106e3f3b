#include "cache/guards.h"

#include <gtest/gtest.h>

#include <string>

namespace bw {
namespace {

struct GuardRow {
  const char* reason;
  CacheGuards guards;
  const char* expected;  // per step of 10: . free, w warm-up, c cooldown, f window (fraction)
};

TEST(StaticGuard_Steps, Rule_ForbidsExactlyItsSteps) {
  const GuardRow rows[] = {
      {"nothing by default", {}, ".........."},
      {"the first three", {.warmup = 3}, "www......."},
      {"the last two", {.cooldown = 2}, "........cc"},
      {"longer than the run", {.warmup = 11}, "wwwwwwwwww"},
      {"start: 0.2 is step 2 of 10, which is in", {.start = 0.2}, "ff........"},
      {"start between steps", {.start = 0.25}, "fff......."},
      {"end: step 8 is 0.8, which is out", {.end = 0.8}, "........ff"},
      {"end 0 forbids all", {.end = 0}, "ffffffffff"},
      {"together, warm-up named first", {.warmup = 1, .cooldown = 1, .start = 0.2}, "wf.......c"},
  };
  for (const GuardRow& row : rows) {
    SCOPED_TRACE(row.reason);
    std::string actual;
    for (std::int64_t step = 0; step < 10; ++step) {
      EvaluationContext context;
      context.step = step;
      context.num_steps = 10;
      const auto name = static_guard(row.guards, context);
      actual += !name ? '.' : *name == "warmup" ? 'w' : *name == "cooldown" ? 'c' : 'f';
    }
    EXPECT_EQ(actual, row.expected);
  }
}

// A policy that always wants to reuse, from step 1 on.
std::string allowed(std::int64_t longest, int parts) {
  ReuseRun run(longest);
  run.note(0, false);
  std::string letters;
  for (std::int64_t step = 1; step < 9; ++step) {
    for (int part = 0; part < parts; ++part) {
      const bool reuse = run.allows(step);
      letters += reuse ? 'r' : 'c';
      run.note(step, reuse);
    }
  }
  return letters;
}

TEST(ReuseRun_Allows, LongestRun_ThenComputes) {
  EXPECT_EQ(allowed(0, 1), "rrrrrrrr") << "0: no limit";
  EXPECT_EQ(allowed(1, 1), "rcrcrcrc");
  EXPECT_EQ(allowed(3, 1), "rrrcrrrc");
}

TEST(ReuseRun_Allows, HeunParts_CountAsOneStepAndShareTheVerdict) {
  EXPECT_EQ(allowed(1, 2), "rrccrrccrrccrrcc");
  EXPECT_EQ(allowed(2, 2), "rrrrccrrrrccrrrr");
}

TEST(ReuseRun_Allows, StepThatReusedInOnePart_CountsAsReused) {
  ReuseRun run(1);
  run.note(1, true);
  run.note(1, false);
  EXPECT_FALSE(run.allows(2));
}

}  // namespace
}  // namespace bw
