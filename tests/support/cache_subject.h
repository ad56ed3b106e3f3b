// A model and a schedule for tests of the cache, and a sampler of ten lines that runs them under a
// policy. Read cache_conformance.h for what every policy must satisfy; it takes any subject, so a
// test can pass one over a real bundle.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_controller.h"
#include "cache/policy_table.h"
#include "support/fake_pass.h"
#include "support/small_tables.h"

namespace bw::testing {

struct CacheSubject {
  std::string name;
  CacheLayout layout;
  // Some stage returns fewer outputs than there are streams, so that its bytes are less than
  // declared.
  bool has_partial_stages = false;
  bool has_int8 = true;  // Pass::run_block_int8 may be called
  at::Tensor noise;      // [1,C,F,H,W] f32
  // A Pass with one row per branch. `other_uncond` stands for another negative prompt.
  std::function<std::unique_ptr<Pass>(std::span<const Branch> branches,
                                      const EvaluationContext& context, const at::Tensor& latent,
                                      bool other_uncond)>
      begin;

  [[nodiscard]] RunShape shape() const {
    RunShape shape{layout.evaluations.front().num_steps, {}};
    for (const ExpertLayout& expert : layout.experts) {
      shape.blocks_per_expert.push_back(expert.blocks.size());
      shape.stages.emplace_back();
      for (const BlockInfo& block : expert.blocks) shape.stages.back().push_back(block.stages);
    }
    return shape;
  }
};

struct SubjectOptions {
  std::string name = "plain";
  std::int64_t num_steps = 20;
  bool heun = false;  // two evaluations per step but the last
  bool batched = false;
  double guidance_start = 0;  // guided at steps k with start <= k / num_steps < end
  double guidance_end = 1;
  double hole_start = 1;  // unguided again at hole_start <= k / num_steps < hole_end
  double hole_end = 1;
  std::size_t num_experts = 1;  // the second takes over half-way
  at::ScalarType dtype = at::kFloat;
};

inline std::vector<EvaluationContext> make_evaluations(const SubjectOptions& options) {
  std::vector<EvaluationContext> evaluations;
  const auto num_steps = static_cast<double>(options.num_steps);
  for (std::int64_t step = 0; step < options.num_steps; ++step) {
    const int parts = options.heun && step + 1 < options.num_steps ? 2 : 1;
    for (int part = 0; part < parts; ++part) {
      const double progress = static_cast<double>(step) / num_steps;
      const bool guided = progress >= options.guidance_start && progress < options.guidance_end &&
                          !(progress >= options.hole_start && progress < options.hole_end);
      const double sigma = 1.0 - (static_cast<double>(step) + 0.9 * part) / num_steps;
      evaluations.push_back(
          {.index = static_cast<std::int64_t>(evaluations.size()),
           .step = step,
           .num_steps = options.num_steps,
           .part = part,
           .sigma = sigma,
           .timestep = 1000 * sigma,
           .expert = options.num_experts > 1 && progress >= 0.5 ? std::size_t{1} : std::size_t{0},
           .guided = guided});
    }
  }
  return evaluations;
}

inline CacheSubject make_fake_subject(const SubjectOptions& options, CallCounts* counts) {
  auto models = std::make_shared<std::vector<FakeModel>>();
  CacheSubject subject;
  subject.name = options.name;
  for (std::size_t expert = 0; expert < options.num_experts; ++expert) {
    models->emplace_back(4 + expert, 100 * (expert + 1), options.dtype);
    const FakeModel& model = models->back();
    const std::uint64_t in_floats =
        model.probe_bytes() * sizeof(float) / at::elementSize(options.dtype);
    subject.layout.experts.push_back(
        {model.blocks(), model.hidden_bytes(), model.probe_bytes(), in_floats});
  }
  subject.noise = seeded_randn(FakeModel::kLatentShape, 7);
  subject.layout.prediction_bytes = subject.noise.nbytes();
  subject.layout.evaluations = make_evaluations(options);
  subject.layout.batched = options.batched;
  subject.begin = [models, counts](std::span<const Branch> branches,
                                   const EvaluationContext& context, const at::Tensor& latent,
                                   bool other_uncond) {
    std::vector<at::Tensor> contexts;
    for (const Branch branch : branches) {
      const bool is_other = other_uncond && branch == Branch::kUncond;
      contexts.push_back(
          seeded_randn({1, FakeModel::kWidth}, is_other ? 99 : 50 + index_of(branch)));
    }
    const auto rows = static_cast<std::int64_t>(branches.size());
    FakeInput input{latent.expand({rows, -1, -1, -1, -1}).contiguous(), at::cat(contexts, 0),
                    context.sigma};
    return std::make_unique<FakePass>((*models)[context.expert], std::move(input), counts);
  };
  return subject;
}

struct RunOptions {
  CacheGuards guards = {};
  std::optional<std::uint64_t> budget_bytes = std::nullopt;
  bool other_uncond = false;
  bool fixed_inputs = false;  // the model input does not follow the predictions
  FeatureRecorder* recorder = nullptr;
  bool shadow = false;
};

struct RunResult {
  at::Tensor latents;
  std::vector<at::Tensor> cond;  // predictions of the conditional branch, where it ran
  CacheReport report;
};

inline at::Tensor combine(const at::Tensor& cond, const at::Tensor& uncond) {
  constexpr double kScale = 3;
  return uncond + kScale * (cond - uncond);
}

inline at::Tensor run_branches(CacheController& cache, const CacheSubject& subject,
                               const EvaluationContext& context, const at::Tensor& x,
                               std::pair<RunResult*, const RunOptions*> run) {
  const auto begin = [&](std::span<const Branch> branches) {
    return subject.begin(branches, context, x, run.second->other_uncond);
  };
  if (cache.runs_batched()) {
    const at::Tensor both = cache.run_batched([&] { return begin(kBranches); });
    run.first->cond.push_back(both.narrow(0, 0, 1));
    return combine(both.narrow(0, 0, 1), both.narrow(0, 1, 1));
  }
  constexpr Branch kCond = Branch::kCond;
  constexpr Branch kUncond = Branch::kUncond;
  const at::Tensor cond = cache.run(kCond, [&] { return begin({&kCond, 1}); });
  run.first->cond.push_back(cond);
  if (!context.guided) return cond;
  return combine(cond, cache.run(kUncond, [&] { return begin({&kUncond, 1}); }));
}

// Every evaluation is an explicit Euler step to the next sigma.
inline RunResult run_subject(const CacheSubject& subject, std::unique_ptr<CachePolicy> policy,
                             const RunOptions& options = {}) {
  CacheController cache({std::move(policy), options.guards, options.budget_bytes, subject.layout,
                         options.recorder, options.shadow});
  const std::vector<EvaluationContext>& evaluations = subject.layout.evaluations;
  RunResult result;
  at::Tensor x = subject.noise;
  for (const EvaluationContext& context : evaluations) {
    at::Tensor combined;
    if (cache.begin(context.index, x).run_branches) {
      combined = run_branches(cache, subject, context, x, {&result, &options});
    }
    const at::Tensor prediction = cache.guided(combined);
    cache.end();
    const auto next = static_cast<std::size_t>(context.index) + 1;
    const double sigma = next < evaluations.size() ? evaluations[next].sigma : 0.0;
    x = options.fixed_inputs ? subject.noise * (0.5 + sigma)
                             : x + (sigma - context.sigma) * prediction;
  }
  result.latents = x;
  result.report = cache.report();
  return result;
}

inline std::unique_ptr<CachePolicy> make_policy_for(const CacheSubject& subject,
                                                    const CachePolicyInfo& policy,
                                                    const Json& params) {
  const Json filled = with_small_table(policy, params, subject.shape());
  return policy.make(filled, Origin::flag("--cache " + std::string(policy.name)), subject.shape());
}

// "ccrr": per evaluation r when anything was reused. The first branch of an evaluation speaks for
// it.
inline std::string decisions(const CacheReport& report) {
  std::string letters;
  for (const EvaluationRecord& evaluation : report.evaluations) {
    const bool reused =
        evaluation.guided_reused || evaluation.branches.front().done.reuse != Site::kNone;
    letters += reused ? 'r' : 'c';
  }
  return letters;
}

}  // namespace bw::testing
