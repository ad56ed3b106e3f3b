#include "cache/cache_controller.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "base/stopwatch.h"
#include "cache/cfg_delta.h"
#include "cache/decide.h"
#include "cache/history.h"
#include "cache/latent_signals.h"
#include "cache/memory_plan.h"
#include "cache/pass_runner.h"

namespace bw {

struct CacheController::Impl {
  explicit Impl(CacheSetup given);

  const EvaluationContext& context() const { return current; }
  std::size_t num_blocks() const { return setup.layout.experts[context().expert].blocks.size(); }
  bool takes_part(Branch branch) const { return branch == Branch::kCond || context().guided; }

  void open(std::int64_t next, const at::Tensor& model_input);
  const StepDecision& decide_now();
  at::Tensor run(PassRunner::Lane lane, const BeginPass& begin_pass);
  [[nodiscard]] BranchPlan follow_first_part(Branch branch, BranchPlan plan) const;
  [[nodiscard]] Verdict confirms(const PassRunner& runner, PassRunner::Lane lane) const;
  [[nodiscard]] bool runs_batched() const;
  [[nodiscard]] CacheKey cfg_key() const {
    return {Slot::kCfg, context().expert, context().part, Branch::kUncond};
  }
  // Site::kCfg: the unconditional prediction.
  [[nodiscard]] at::Tensor from_conditional();
  void keep_cfg_delta(const at::Tensor& uncond);
  // Noise level at the end of the open step: of the next evaluation of its part; its own at the
  // last.
  [[nodiscard]] double next_sigma() const;
  at::Tensor guided(const at::Tensor& combined);
  void end();
  // Waits for what was measured; returns the seconds that took, which the indicator's clock has.
  double read_distances();
  void record(const Observation& observation);
  void count(const EvaluationRecord& evaluation);

  CacheSetup setup;
  const CacheNeeds& needs;
  Lifetimes lifetimes;
  std::uint64_t declared = 0;
  History history;
  CacheClocks clocks;
  RelativeL1Batch distances;  // of the open evaluation
  std::array<DistanceQueue, kNumBranches> signals;
  std::array<ReuseRun, kNumBranches> runs;
  // What part 0 of the last step did, and which step that was.
  std::array<std::pair<std::int64_t, BranchPlan>, kNumBranches> first_parts;

  std::int64_t index = -1;    // of the evaluation that is open, or was closed last
  EvaluationContext current;  // that evaluation, with what was measured of it
  at::Tensor latents;         // its input; undefined when it is only played through
  at::Tensor conditional;     // Site::kCfg: its conditional prediction, once that has run
  LatentTracker latent_tracker;
  bool is_open = false;
  StepDecision decision;
  Observation observation;
  EarlySignals early;  // of the branches that have run
  CacheReport report;
};

CacheController::Impl::Impl(CacheSetup given)
    : setup(std::move(given)),
      needs(setup.policy->needs()),
      lifetimes(setup.guards, setup.layout),
      declared(declared_cache_bytes(needs, setup.guards, setup.layout)),
      runs{ReuseRun(setup.guards.max_consecutive), ReuseRun(setup.guards.max_consecutive)} {
  for (std::size_t i = 0; i < setup.layout.evaluations.size(); ++i) {
    const EvaluationContext& evaluation = setup.layout.evaluations[i];
    BW_CHECK(evaluation.index == static_cast<std::int64_t>(i));
    BW_CHECK(evaluation.expert < setup.layout.experts.size());
  }
  if (setup.budget_bytes && declared > *setup.budget_bytes) {
    throw ResourceError("the cache needs " + std::to_string(declared) + " bytes (" +
                        format_bytes(declared) + "), the budget is " +
                        std::to_string(*setup.budget_bytes) + " bytes (" +
                        format_bytes(*setup.budget_bytes) +
                        "); raise --cache-budget, probe fewer blocks or choose another policy");
  }
  report.sites = needs.sites;
  report.rebuild = needs.rebuild.name();
  report.signal = needs.signal;
  report.totals.declared_bytes = declared;
}

void CacheController::Impl::open(std::int64_t next, const at::Tensor& model_input) {
  BW_CHECK(!is_open && next == index + 1);
  BW_CHECK(next < static_cast<std::int64_t>(setup.layout.evaluations.size()));
  index = next;
  current = setup.layout.evaluations[static_cast<std::size_t>(index)];
  latents = model_input;
  is_open = true;
  observation = {};
  early = {};
  conditional.reset();
  distances = {};
  signals.fill(DistanceQueue(needs.signal.metric));
  if (setup.recorder != nullptr && setup.recorder->parts().latents) {
    setup.recorder->record({Slot::kLatents, current.expert, current.part}, current, {latents});
  }
  if (!needs.latents || !latents.defined() || current.part != 0) return;
  const Stopwatch watch;
  current.latents = latent_tracker.begin(current, latents, lifetimes, history);
  clocks.indicator_seconds += watch.seconds();
}

const StepDecision& CacheController::Impl::decide_now() {
  const Stopwatch watch;
  const Overrules overrules{needs, setup.guards, setup.layout, history, runs};
  decision = decide(overrules, context(), setup.policy->begin(context()));
  if (!decision.measure) {
    history.drop_if([](const CacheKey& key) { return key.slot == Slot::kSignal; });
  }
  report.totals.controller_seconds += watch.seconds();
  return decision;
}

at::Tensor CacheController::Impl::run(PassRunner::Lane lane, const BeginPass& begin_pass) {
  BW_CHECK(is_open && decision.run_branches);
  const Stopwatch watch;
  const CacheClocks before = clocks;
  BranchPlan plan = decision.branches[index_of(lane.front())].plan;
  if (plan.ask && context().part > 0) plan = follow_first_part(lane.front(), plan);
  const auto confirm = [&](const PassRunner& asking) { return confirms(asking, lane); };
  const ExpertLayout& expert = setup.layout.experts[context().expert];
  PassRunner runner({needs, lifetimes, history, clocks, distances, expert, latents, setup.recorder},
                    context(), plan, lane, confirm);
  const auto begin_checked = [&] {
    std::unique_ptr<Pass> pass = begin_pass();
    BW_CHECK(pass->blocks().size() == num_blocks());
    return pass;
  };
  at::Tensor prediction = runner.run(begin_checked, decision.measure);
  for (std::size_t i = 0; i < lane.size(); ++i) {
    BranchObservation& branch = observation.branches[index_of(lane[i])];
    BW_CHECK(takes_part(lane[i]) && !branch.ran);
    branch = {true, runner.done(), {}, runner.signal(i).gap(), std::nullopt};
    if (needs.signal.early) {
      early[index_of(lane[i])] = runner.early_signal(i);
      if (const auto distance = early[index_of(lane[i])].distance) branch.distances = {*distance};
    } else {
      signals[index_of(lane[i])] = runner.signal(i);
    }
    if (context().part == 0) first_parts[index_of(lane[i])] = {context().step, runner.done()};
  }
  if (needs.has(Site::kCfg) && context().guided) {
    conditional = lane.front() == Branch::kCond ? prediction.narrow(0, 0, 1) : conditional;
    if (lane.back() == Branch::kUncond)
      keep_cfg_delta(prediction.narrow(0, prediction.size(0) - 1, 1));
  }
  if (needs.latents && context().part == 0 && latents.defined() && lane.front() == Branch::kCond &&
      runner.done().reuse == Site::kNone) {
    const Stopwatch tracking;
    // A row of a batch would keep the other alive.
    const at::Tensor cond = lane.size() == 1 ? prediction : prediction.narrow(0, 0, 1).clone();
    latent_tracker.computed(context(), cond, lifetimes, history);
    clocks.indicator_seconds += tracking.seconds();
  }
  const double elsewhere = (clocks.model_seconds - before.model_seconds) +
                           (clocks.indicator_seconds - before.indicator_seconds) +
                           (clocks.rebuild_seconds - before.rebuild_seconds);
  report.totals.controller_seconds += std::max(0.0, watch.seconds() - elsewhere);
  return prediction;
}

// The second evaluation of a Heun step shares the verdict of the first.
BranchPlan CacheController::Impl::follow_first_part(Branch branch, BranchPlan plan) const {
  const auto& [step, first] = first_parts[index_of(branch)];
  if (step != context().step || first.reuse != Site::kMiddle) return {};
  plan.ask = false;
  return plan;
}

// A branch sees its own distance and those of the branches before it, in batched guidance too, so
// that both ways decide alike. The lane reuses when all of it may.
Verdict CacheController::Impl::confirms(const PassRunner& runner, PassRunner::Lane lane) const {
  EarlySignals known = early;
  Verdict all = true;
  for (std::size_t i = 0; i < lane.size(); ++i) {
    known[index_of(lane[i])] = runner.early_signal(i);
    const Verdict one = setup.policy->confirm(context(), lane[i], known);
    if (i == 0) all.weight = one.weight;
    all.reuse = all.reuse && one.reuse;
  }
  return all;
}

bool CacheController::Impl::runs_batched() const {
  const Site uncond = decision.branches[index_of(Branch::kUncond)].plan.reuse;
  return setup.layout.batched && context().guided && uncond != Site::kCfg;
}

at::Tensor CacheController::Impl::from_conditional() {
  BW_CHECK(conditional.defined(), "the conditional branch comes first");
  const Stopwatch watch;
  const BranchPlan& plan = decision.branches[index_of(Branch::kUncond)].plan;
  const at::Tensor delta = history.find(cfg_key()).front().value.front();
  at::Tensor prediction = uncond_from_cond(conditional, delta, plan.cfg);
  observation.branches[index_of(Branch::kUncond)] = {true, plan, {}, 0, std::nullopt};
  clocks.rebuild_seconds += watch.seconds();
  return prediction;
}

// Only of predictions that a pass has made.
void CacheController::Impl::keep_cfg_delta(const at::Tensor& uncond) {
  const auto is_held = [&](Branch branch) {
    return observation.branches[index_of(branch)].done.reuse == Site::kBranch;
  };
  const CacheKey key = cfg_key();
  if (is_held(Branch::kCond) || is_held(Branch::kUncond)) return;
  if (!lifetimes.readable_after(key, index)) return;
  const Stopwatch watch;
  history.make_room(key, 1);
  history.push(key, {context().step, {uncond - conditional}});
  clocks.rebuild_seconds += watch.seconds();
}

double CacheController::Impl::next_sigma() const {
  const std::vector<EvaluationContext>& evaluations = setup.layout.evaluations;
  const auto next = std::find_if(evaluations.begin() + index + 1, evaluations.end(),
                                 [&](const auto& other) { return other.part == current.part; });
  return next == evaluations.end() ? current.sigma : next->sigma;
}

at::Tensor CacheController::Impl::guided(const at::Tensor& combined) {
  BW_CHECK(is_open && combined.defined() == decision.run_branches);
  distances.send();  // read in end(), when the scheduler's step has been handed over too
  if (!needs.has(Site::kGuided)) return combined;
  const Stopwatch watch;
  const Rebuild rule = needs.rebuild.without_input();
  const CacheKey key{.slot = Slot::kGuided, .expert = context().expert, .part = context().part};
  at::Tensor prediction = combined;
  const auto is_computed = [&](Branch branch) {
    return !takes_part(branch) || observation.branches[index_of(branch)].done.reuse == Site::kNone;
  };
  bool is_sample = rule.keeps_every_step();
  if (!decision.run_branches) {
    const RebuildAt at{context().step, context().num_steps, decision.guided_weight, context().sigma,
                       next_sigma()};
    prediction = rule.value(history.find(key), at, {latents}).front();
  } else {
    is_sample = std::all_of(kBranches.begin(), kBranches.end(), is_computed);
  }
  if (is_sample && lifetimes.readable_after(key, index)) {
    history.make_room(key, rule.depth());
    history.push(key, {context().step, rule.keep({latents}, {prediction}), context().sigma});
  }
  clocks.rebuild_seconds += watch.seconds();
  return prediction;
}

void CacheController::Impl::end() {
  BW_CHECK(is_open);
  const Stopwatch watch;
  observation.guided_reused = !decision.run_branches;
  const double waited = read_distances();
  for (const Branch branch : kBranches) {
    if (!takes_part(branch)) continue;
    const BranchObservation& done = observation.branches[index_of(branch)];
    BW_CHECK(done.ran == decision.run_branches, "a branch that takes part was not run");
    runs[index_of(branch)].note(context().step,
                                observation.guided_reused || done.done.reuse != Site::kNone);
  }
  setup.policy->observe(context(), observation);
  record(observation);
  history.drop_if([&](const CacheKey& key) { return lifetimes.dropped_after(key, index); });
  BW_CHECK(history.peak_bytes() <= declared,
           "the cache holds " + std::to_string(history.peak_bytes()) + " bytes, declared were " +
               std::to_string(declared));
  is_open = false;
  report.totals.controller_seconds += watch.seconds() - waited;
}

double CacheController::Impl::read_distances() {
  const Stopwatch watch;
  distances.send();
  for (const Branch branch : kBranches) {
    if (needs.signal.early) break;  // read inside the pass
    BranchObservation& seen = observation.branches[index_of(branch)];
    seen.distances = signals[index_of(branch)].distances(distances);
    seen.motion = signals[index_of(branch)].motion(distances);
  }
  const double seconds = watch.seconds();
  clocks.indicator_seconds += seconds;
  return seconds;
}

void CacheController::Impl::record(const Observation& seen) {
  EvaluationRecord evaluation{.context = context(),
                              .num_blocks = num_blocks(),
                              .guided_reused = seen.guided_reused,
                              .guided_weight = decision.guided_weight,
                              .guided_reason = decision.guided_reason,
                              .branches = {}};
  for (const Branch branch : kBranches) {
    const BranchObservation& done = seen.branches[index_of(branch)];
    if (!done.ran) continue;
    evaluation.branches.push_back({branch, done.done, decision.branches[index_of(branch)].reason,
                                   done.distances, done.gap, done.motion});
  }
  count(evaluation);
  report.evaluations.push_back(std::move(evaluation));
}

void CacheController::Impl::count(const EvaluationRecord& evaluation) {
  CacheTotals& totals = report.totals;
  const auto blocks = static_cast<std::int64_t>(evaluation.num_blocks);
  totals.blocks += blocks * (context().guided ? 2 : 1);
  totals.evaluations_reused += evaluation.guided_reused ? 1 : 0;
  for (const BranchRecord& branch : evaluation.branches) {
    if (leaves_out_stack(branch.done.reuse)) {
      ++totals.branches_reused;
      continue;
    }
    const std::vector<bool>& reused = branch.done.blocks;
    totals.blocks_computed += blocks - std::count(reused.begin(), reused.end(), true);
    for (const std::vector<bool>& stages : branch.done.stages) {
      totals.blocks_computed -= is_all_reused(stages) ? 1 : 0;
      totals.stages_reused += std::count(stages.begin(), stages.end(), true);
    }
  }
}

CacheController::CacheController(CacheSetup setup)
    : impl_(std::make_unique<Impl>(std::move(setup))) {}
CacheController::~CacheController() = default;

std::uint64_t CacheController::declared_bytes() const { return impl_->declared; }

const StepDecision& CacheController::begin(std::int64_t index, const at::Tensor& latents) {
  BW_CHECK(latents.defined());
  impl_->open(index, latents);
  return impl_->decide_now();
}

const StepDecision& CacheController::begin_recorded(std::int64_t index,
                                                    std::optional<LatentSignals> signals) {
  impl_->open(index, {});
  impl_->current.latents = signals;
  return impl_->decide_now();
}

bool CacheController::runs_batched() const {
  BW_CHECK(impl_->is_open);
  return impl_->runs_batched();
}

at::Tensor CacheController::run(Branch branch, const BeginPass& begin_pass) {
  BW_CHECK(impl_->is_open && !impl_->runs_batched());
  if (impl_->decision.branches[index_of(branch)].plan.reuse == Site::kCfg) {
    return impl_->from_conditional();
  }
  return impl_->run({&branch, 1}, begin_pass);
}

at::Tensor CacheController::run_batched(const BeginPass& begin_pass) {
  BW_CHECK(impl_->is_open && impl_->runs_batched());
  return impl_->run(kBranches, begin_pass);
}

at::Tensor CacheController::guided(const at::Tensor& combined) { return impl_->guided(combined); }

void CacheController::end() { impl_->end(); }

CacheReport CacheController::report() const {
  CacheReport report = impl_->report;
  report.totals.indicator_seconds = impl_->clocks.indicator_seconds;
  report.totals.rebuild_seconds = impl_->clocks.rebuild_seconds;
  report.totals.model = impl_->clocks.model;
  report.totals.peak_bytes = impl_->history.peak_bytes();
  return report;
}

}  // namespace bw
