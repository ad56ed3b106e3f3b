// MeanCache's schedules against all paths of small runs, and a run of it against the loop of the
// released code written out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "base/error.h"
#include "policy_script.h"
#include "support/cache_subject.h"

namespace bw::testing {
namespace {

// By lag from 2 on: errors and spans of the edges that leave each step. Infinite: not known.
struct EdgeTable {
  std::map<std::size_t, std::vector<double>> errors;
  std::map<std::size_t, std::vector<double>> spans;

  [[nodiscard]] std::string text() const {
    CalibratedTable table;
    for (const auto& [lag, row] : errors) {
      table.add(std::to_string(lag), row);
      table.add(std::to_string(lag) + ".span", spans.at(lag));
    }
    return table.text();
  }
};

// Errors of one digit, so that some tie; spans 1 … 6.
EdgeTable draw_edges(std::size_t num_steps, std::size_t max_lag, std::mt19937& random) {
  std::uniform_int_distribution<int> digit(0, 9);
  std::uniform_int_distribution<int> span(1, 6);
  EdgeTable edges;
  for (std::size_t lag = 2; lag <= max_lag; ++lag) {
    edges.errors[lag] = edges.spans[lag] = {};
    for (std::size_t from = 0; from + lag < num_steps; ++from) {
      const int drawn = digit(random);
      edges.errors[lag].push_back(drawn == 9 ? HUGE_VAL : drawn);
      edges.spans[lag].push_back(span(random));
    }
  }
  return edges;
}

// Infinite where an edge is too long or unknown.
double cost_of(const EdgeTable& edges, const std::vector<std::size_t>& computed, double peak) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < computed.size(); ++i) {
    const std::size_t lag = computed[i + 1] - computed[i];
    if (lag == 1) continue;
    sum +=
        edges.errors.contains(lag) ? std::pow(edges.errors.at(lag)[computed[i]], peak) : HUGE_VAL;
  }
  return sum;
}

double least_by_brute_force(const EdgeTable& edges, std::size_t num_steps, std::size_t count,
                            double peak) {
  double least = HUGE_VAL;
  for (std::size_t bits = 0; bits < (std::size_t{1} << num_steps); ++bits) {
    std::vector<std::size_t> computed;
    for (std::size_t step = 0; step < num_steps; ++step) {
      if ((bits >> step) & 1U) computed.push_back(step);
    }
    const bool is_path =
        computed.size() == count && computed.front() == 0 && computed.back() == num_steps - 1;
    if (is_path) least = std::min(least, cost_of(edges, computed, peak));
  }
  return least;
}

std::unique_ptr<CachePolicy> make_meancache(const EdgeTable& edges, std::size_t num_steps,
                                            const Json& params) {
  Json whole = {{"errors", edges.text()}};
  whole.update(params);
  return make_policy_from("meancache", whole, static_cast<std::int64_t>(num_steps));
}

// Per step the span, 0 where computed.
std::vector<double> spans_of(const CachePolicy& policy, std::size_t num_steps) {
  std::vector<double> spans;
  for (std::size_t step = 0; step < num_steps; ++step) {
    EvaluationContext context;
    context.index = context.step = static_cast<std::int64_t>(step);
    const EvaluationPlan plan = policy.begin(context);
    spans.push_back(plan.reuse_guided ? plan.guided_weight : 0);
  }
  return spans;
}

TEST(Meancache_Schedule, SmallRuns_AgreeWithAllPaths) {
  std::mt19937 random(7);
  for (std::size_t num_steps = 2; num_steps <= 8; ++num_steps) {
    for (std::size_t max_lag = 2; max_lag <= 4; ++max_lag) {
      const EdgeTable edges = draw_edges(num_steps, max_lag, random);
      for (std::size_t count = 2; count <= num_steps; ++count) {
        SCOPED_TRACE(::testing::Message()
                     << num_steps << " steps, lag " << max_lag << ", " << count << " computed");
        const double peak = count % 2 == 0 ? 1 : 3;
        const Json params = {
            {"computed", std::to_string(count)}, {"max_lag", max_lag}, {"peak", peak}};
        const double least = least_by_brute_force(edges, num_steps, count, peak);
        if (!std::isfinite(least)) {
          EXPECT_THROW((void)make_meancache(edges, num_steps, params), UsageError);
          continue;
        }
        const auto policy = make_meancache(edges, num_steps, params);
        const std::vector<double> spans = spans_of(*policy, num_steps);
        std::vector<std::size_t> computed;
        for (std::size_t step = 0; step < num_steps; ++step) {
          if (spans[step] == 0) computed.push_back(step);
        }
        ASSERT_EQ(computed.size(), count);
        EXPECT_EQ(computed.front(), 0U);
        EXPECT_EQ(computed.back(), num_steps - 1);
        EXPECT_EQ(cost_of(edges, computed, peak), least);
        for (std::size_t i = 0; i + 1 < computed.size(); ++i) {
          for (std::size_t step = computed[i] + 1; step < computed[i + 1]; ++step) {
            EXPECT_EQ(spans[step], edges.spans.at(computed[i + 1] - computed[i])[computed[i]]);
          }
        }
      }
    }
  }
}

TEST(Meancache_Schedule, Peak_DecidesBetweenOneLargeErrorAndManySmall) {
  // Three of five steps: 0 2 4 has 3 and 3, 0 1 4 has 0 and 5, 0 3 4 has 9. Sums 6 and 5, sums of
  // squares 18 and 25.
  const EdgeTable edges = {{{2, {3, 9, 3}}, {3, {9, 5}}}, {{2, {1, 1, 1}}, {3, {1, 1}}}};
  const Json params = {{"computed", "3"}, {"max_lag", 3}};
  const auto masked = [&](double peak) {
    Json with_peak = params;
    with_peak["peak"] = peak;
    return spans_of(*make_meancache(edges, 5, with_peak), 5);
  };
  EXPECT_THAT(masked(1), ::testing::ElementsAre(0, 0, 1, 1, 0));
  EXPECT_THAT(masked(2), ::testing::ElementsAre(0, 1, 0, 1, 0));
}

TEST(Meancache_Schedule, BudgetThatNoPathHas_SaysWhichDo) {
  const EdgeTable edges = {{{2, {3, 9, 3}}, {3, {9, 5}}}, {{2, {1, 1, 1}}, {3, {1, 1}}}};
  for (const char* computed : {"1", "6"}) {
    EXPECT_THAT(
        [&] {
          (void)make_meancache(edges, 5, {{"computed", computed}, {"max_lag", 3}});
        },
        ::testing::ThrowsMessage<UsageError>(
            ::testing::HasSubstr("computed: must be 3 to 5 of 5 steps with max_lag=3")));
  }
}

TEST(Meancache_Table, SpanThatIsNone_IsNamed) {
  const EdgeTable edges = {{{2, {3, 9, 3}}}, {{2, {1, 1.5, 1}}}};
  EXPECT_THAT(
      [&] {
        (void)make_meancache(edges, 5, {{"max_lag", 2}});
      },
      ::testing::ThrowsMessage<UsageError>(
          ::testing::HasSubstr("row '2.span': 1.5 is no span, 1 to 6")));
}

// The released loop: velocities, latents and noise levels of all steps are logged, also of those
// that were made.
at::Tensor released_loop(const CacheSubject& subject, const std::vector<double>& spans) {
  std::vector<at::Tensor> velocities;
  std::vector<at::Tensor> before;  // latents that entered a step
  std::vector<double> sigmas;
  at::Tensor x = subject.noise;
  for (const EvaluationContext& context : subject.layout.evaluations) {
    const auto i = static_cast<std::size_t>(context.index);
    sigmas.push_back(context.sigma);
    const bool is_last = i + 1 == spans.size();
    const double next = is_last ? 0 : subject.layout.evaluations[i + 1].sigma;
    at::Tensor v;
    if (spans[i] == 0) {
      const auto prediction = [&](Branch branch) {
        const auto pass = subject.begin({&branch, 1}, context, x, false);
        Hidden hidden = pass->embed();
        for (std::size_t block = 0; block < pass->blocks().size(); ++block) {
          hidden = pass->run_block(block, hidden);
        }
        return pass->head(hidden);
      };
      v = testing::combine(prediction(Branch::kCond), prediction(Branch::kUncond));
    } else {
      const std::size_t from = i - std::min(static_cast<std::size_t>(spans[i]), i);
      const double way = context.sigma - sigmas[from];
      const at::Tensor jvp = (velocities[from] - (x - before[from]) / way) / way;
      v = velocities.back() - jvp * (next - context.sigma);
    }
    before.push_back(x);
    velocities.push_back(v);
    x = x + (next - context.sigma) * v;
  }
  return x;
}

TEST(Meancache_Run, IsTheReleasedLoop) {
  CallCounts counts;
  const CacheSubject subject = make_fake_subject({.num_steps = 12}, &counts);
  EdgeTable edges;
  std::mt19937 random(3);
  edges = draw_edges(12, 4, random);
  const Json params = {{"computed", "5"}, {"max_lag", 4}};
  const std::vector<double> spans = spans_of(*make_meancache(edges, 12, params), 12);
  EXPECT_GE(*std::max_element(spans.begin(), spans.end()), 3);
  const RunResult run = run_subject(subject, make_meancache(edges, 12, params));
  const at::Tensor expected = released_loop(subject, spans);
  const double scale = expected.abs().max().item<double>();
  EXPECT_LE((run.latents - expected).abs().max().item<double>(), 1e-5 * scale);
  EXPECT_EQ(run.report.totals.evaluations_reused, 7);
}

}  // namespace
}  // namespace bw::testing
