// LeMiCa: the search against all paths of small runs, and schedules worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <random>

#include "base/error.h"
#include "cache/leximax_path.h"
#include "policy_script.h"

namespace bw::testing {
namespace {

using Errors = std::vector<std::vector<double>>;

// Descending errors of the path, or nothing when it has an edge that is too long or unknown.
std::optional<std::vector<double>> errors_of(const Errors& errors, std::vector<std::size_t> steps,
                                             std::size_t num_steps) {
  steps.push_back(num_steps);
  std::vector<double> found;
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    const std::size_t lag = steps[i + 1] - steps[i];
    if (lag > errors.size() || !std::isfinite(errors[lag - 1][steps[i]])) return std::nullopt;
    found.push_back(errors[lag - 1][steps[i]]);
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  return found;
}

// Tries every set of `count` steps that holds step 0.
std::optional<std::vector<double>> least_by_brute_force(const Errors& errors, std::size_t num_steps,
                                                        std::size_t count) {
  std::optional<std::vector<double>> least;
  for (std::size_t bits = 1; bits < (std::size_t{1} << num_steps); bits += 2) {
    std::vector<std::size_t> steps;
    for (std::size_t step = 0; step < num_steps; ++step) {
      if ((bits >> step) & 1U) steps.push_back(step);
    }
    if (steps.size() != count) continue;
    const auto found = errors_of(errors, steps, num_steps);
    if (found && (!least || *found < *least)) least = found;
  }
  return least;
}

TEST(LeximaxPath_Search, SmallRuns_AgreeWithAllPaths) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> value(0, 9);  // small, so that errors tie
  for (std::size_t num_steps = 1; num_steps <= 8; ++num_steps) {
    for (std::size_t max_lag = 1; max_lag <= 4; ++max_lag) {
      Errors errors;
      for (std::size_t lag = 1; lag <= max_lag; ++lag) {
        std::vector<double>& row = errors.emplace_back();
        for (std::size_t from = 0; from + lag <= num_steps; ++from) {
          const int drawn = value(random);
          row.push_back(lag == 1 ? 0 : drawn == 9 ? HUGE_VAL : drawn);
        }
      }
      for (std::size_t count = 1; count <= num_steps + 1; ++count) {
        SCOPED_TRACE(::testing::Message()
                     << num_steps << " steps, lag " << max_lag << ", " << count << " computed");
        const std::vector<std::size_t> path = leximax_path(errors, num_steps, count);
        const auto least = least_by_brute_force(errors, num_steps, count);
        ASSERT_EQ(path.empty(), !least.has_value());
        if (!least) continue;
        EXPECT_EQ(path.size(), count);
        EXPECT_EQ(path.front(), 0U);
        EXPECT_EQ(errors_of(errors, path, num_steps), least);
      }
    }
  }
}

TEST(LeximaxPath_Search, TheWorstStretchDecides_NotTheSum) {
  // Two of four steps: {0, 2} has errors 3 and 3, {0, 1} has 0 and 4, {0, 3} has 5 and 0. The sums
  // 6, 4, 5 would take {0, 1}.
  const Errors errors = {{0, 0, 0, 0}, {3, 9, 3}, {5, 4}};
  EXPECT_EQ(leximax_path(errors, 4, 2), (std::vector<std::size_t>{0, 2}));
}

std::unique_ptr<CachePolicy> make_lemica(const char* computed, std::int64_t max_lag) {
  return make_policy_from(
      "lemica",
      {{"errors", "1:0;0;0;0/2:3;9;3/3:5;4"}, {"computed", computed}, {"max_lag", max_lag}}, 4);
}

TEST(Lemica_Schedule, TheBudget_IsSpentWhereItHelpsMost) {
  const auto nothing = [](std::int64_t) { return Distances{}; };
  EXPECT_EQ(play(*make_lemica("2", 3), 4, nothing).cond, "crcr");
  EXPECT_EQ(play(*make_lemica("50%", 3), 4, nothing).uncond, "crcr");
  // Three of four: one edge of two steps, 3 from step 0 or from step 2; the earlier steps win.
  EXPECT_EQ(play(*make_lemica("3", 3), 4, nothing).cond, "cccr");
  EXPECT_EQ(play(*make_lemica("100%", 3), 4, nothing).cond, "cccc");
}

TEST(Lemica_Schedule, BudgetThatNoPathHas_SaysWhichDo) {
  EXPECT_THAT([] { (void)make_lemica("1", 3); },
              ::testing::ThrowsMessage<UsageError>(
                  ::testing::HasSubstr("computed: must be 2 to 4 of 4 steps with max_lag=3")));
}

TEST(Lemica_Table, LagThatItLacks_IsNamed) {
  EXPECT_THAT([] { (void)make_lemica("2", 4); },
              ::testing::ThrowsMessage<UsageError>(::testing::HasSubstr("no row '4'")));
}

}  // namespace
}  // namespace bw::testing
