#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "base/stopwatch.h"
#include "cache/cache_controller_impl.h"
#include "cache/decide.h"

namespace bw {

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
  report.keeps_partial = needs.keeps_partial;
  report.signal = needs.signal;
  report.totals.declared_bytes = declared;
  if (setup.shadow) report.shadow.emplace();
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
  errors = {};
  guided_error.reset();
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
  decision.run_branches = !decision.reuses_guided || (setup.shadow && latents.defined());
  if (!decision.measure) {
    history.drop_if([](const CacheKey& key) { return key.slot == Slot::kSignal; });
  }
  report.totals.controller_seconds += watch.seconds();
  return decision;
}

at::Tensor CacheController::Impl::run(PassRunner::Lane lane, const BeginPass& begin_pass) {
  BW_CHECK(is_open && decision.run_branches);
  if (shadows_guided()) return plain(begin_pass);
  const Stopwatch watch;
  const double before = clocks.sum();
  BranchPlan plan = decision.branches[index_of(lane.front())].plan;
  if (plan.ask && context().part > 0) plan = follow_first_part(lane.front(), plan);
  const auto confirm = [&](const PassRunner& asking) { return confirms(asking, lane); };
  const ExpertLayout& expert = setup.layout.experts[context().expert];
  PassRunner runner(
      {needs, lifetimes, history, clocks, distances, expert, latents, setup.recorder, setup.shadow},
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
    errors[index_of(lane[i])] = runner.errors(i);
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
      needs.keeps(runner.done().reuse)) {
    const Stopwatch tracking;
    // A row of a batch would keep the other alive.
    const at::Tensor cond = lane.size() == 1 ? prediction : prediction.narrow(0, 0, 1).clone();
    latent_tracker.computed(context(), cond, lifetimes, history);
    clocks.indicator_seconds += tracking.seconds();
  }
  const double elsewhere = clocks.sum() - before;
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

void CacheController::Impl::end() {
  BW_CHECK(is_open);
  const Stopwatch watch;
  observation.guided_reused = decision.reuses_guided;
  const double waited = read_distances();
  for (const Branch branch : kBranches) {
    if (!takes_part(branch)) continue;
    const BranchObservation& done = observation.branches[index_of(branch)];
    BW_CHECK(done.ran != decision.reuses_guided, "a branch that takes part was not run");
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
    seen.alignment = signals[index_of(branch)].alignment(distances);
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
                              .branches = {},
                              .guided_error = guided_error};
  for (const Branch branch : kBranches) {
    const BranchObservation& done = seen.branches[index_of(branch)];
    if (!done.ran) continue;
    evaluation.branches.push_back({branch, done.done, decision.branches[index_of(branch)].reason,
                                   done.distances, done.gap, done.motion,
                                   errors[index_of(branch)]});
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
    totals.blocks_computed += blocks - left_out_blocks(branch.done);
    totals.blocks_int8 += int8_blocks(branch.done);
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
    return impl_->from_conditional(begin_pass);
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
  if (report.shadow) report.shadow = shadow_totals(report, impl_->clocks.shadow_seconds);
  return report;
}

}  // namespace bw
