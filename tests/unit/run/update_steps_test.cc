// BAC's search against all choices of steps.
#include "run/update_steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>

namespace bw {
namespace {

using Similarity = std::vector<std::vector<double>>;

double sum_of(const Similarity& similarity, const std::vector<std::size_t>& updates) {
  double sum = 0;
  std::size_t next = 0;
  for (std::size_t step = 0; step < similarity.size(); ++step) {
    if (next < updates.size() && updates[next] == step) {
      ++next;
    } else {
      sum += similarity[updates[next - 1]][step];
    }
  }
  return sum;
}

TEST(UpdateSteps_Search, SmallRuns_AgreeWithAllChoices) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> value(-1, 1);
  for (std::size_t steps = 1; steps <= 8; ++steps) {
    Similarity similarity(steps, std::vector<double>(steps));
    for (std::vector<double>& row : similarity) {
      for (double& entry : row) entry = value(random);
    }
    for (std::size_t count = 1; count <= steps; ++count) {
      SCOPED_TRACE(std::to_string(count) + " of " + std::to_string(steps));
      double best = -std::numeric_limits<double>::infinity();
      for (std::size_t bits = 1; bits < (std::size_t{1} << steps); bits += 2) {
        std::vector<std::size_t> updates;
        for (std::size_t step = 0; step < steps; ++step) {
          if ((bits >> step) & 1U) updates.push_back(step);
        }
        if (updates.size() == count) best = std::max(best, sum_of(similarity, updates));
      }
      const std::vector<std::size_t> found = update_steps(similarity, count);
      ASSERT_EQ(found.size(), count);
      EXPECT_EQ(found.front(), 0U);
      EXPECT_NEAR(sum_of(similarity, found), best, 1e-12);
    }
  }
}

TEST(UpdateSteps_Search, TwoPhases_AreUpdatedWhereTheSecondBegins) {
  // Steps 0 … 2 are alike, and 3 … 5 are.
  Similarity similarity(6, std::vector<double>(6, 0.0));
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t t = 0; t < 6; ++t) similarity[i][t] = (i < 3) == (t < 3) ? 1 : 0;
  }
  EXPECT_EQ(update_steps(similarity, 2), (std::vector<std::size_t>{0, 3}));
}

}  // namespace
}  // namespace bw
