// SmoothCache (arXiv 2411.10510): how much the output of a kind of stage changes over m steps
// hardly depends on the prompt. It is measured once; a schedule per kind of stage is built from it.
//
//   table      E_c(k, m) = mean over the stages j of kind c of |o_{j,k+m} − o_{j,k}|₁ /
//   |o_{j,k+m}|₁;
//              the NEWER tensor is the denominator; o is the output before its gate and residual
//              sum
//   schedule   at a computed step k the largest m <= max_lag with E_c(k, m) < threshold: the steps
//              k+1 … k+m reuse, k+m+1 is computed; without one k+1 is computed
//   payload    every stage's output, held
//   always     the first and the last step are computed
// Published description and code, which tests E <= threshold; here it is <, as in the paper, so
// that 0 never reuses. As in the code only the furthest lag is tested. A kind is all stages of one
// name.
#include <algorithm>
#include <map>
#include <string>

#include "cache/calibrated_table.h"
#include "cache/policies/attention_stages.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "errors";

struct SmoothcacheParams final : CalibratedParams {
  double threshold = 0.1;
  std::int64_t max_lag = 3;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse over as many steps as change less than this; 0: never"},
             threshold, {.low = 0});
    v.integer({"max_lag", "most steps reused in a row, and lags that are calibrated"}, max_lag,
              {.low = 1, .high = 100});
    visit_table(v, {kTable, "rows STAGE.LAG: the change from every step to the one LAG later"});
  }
  void check(const Origin& origin) const override { check_table(kTable, origin); }
};

class SmoothcachePolicy final : public CachePolicy {
 public:
  SmoothcachePolicy(const SmoothcacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params), num_steps_(static_cast<std::size_t>(shape.num_steps)) {
    const CalibratedTable table = params.load_table(kTable, "smoothcache", origin, shape.identity);
    needs_.sites = {Site::kStage};
    for (const auto& blocks : shape.stages) {
      std::vector<StageRef>& reusable = needs_.reusable_stages.emplace_back();
      std::vector<std::vector<const std::vector<bool>*>>& schedules = schedules_.emplace_back();
      for (StageRef at; at.block < blocks.size(); ++at.block) {
        schedules.emplace_back();
        for (at.stage = 0; at.stage < blocks[at.block].size(); ++at.stage) {
          const std::vector<bool>& schedule =
              schedule_of(blocks[at.block][at.stage], table, origin.at(kTable));
          schedules.back().push_back(&schedule);
          const bool is_reused =
              std::find(schedule.begin(), schedule.end(), true) != schedule.end();
          if (is_reused) reusable.push_back(at);
        }
      }
    }
    if (kinds_.empty()) reject_without_stages(origin);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    std::vector<std::vector<bool>> reused;
    bool any = false;
    for (const auto& block : schedules_[context.expert]) {
      std::vector<bool>& flags = reused.emplace_back();
      for (const std::vector<bool>* schedule : block) {
        flags.push_back((*schedule)[static_cast<std::size_t>(context.step)]);
        any = any || flags.back();
      }
    }
    if (!any) return plan;
    for (BranchPlan& branch : plan.branches) branch = {.reuse = Site::kStage, .stages = reused};
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  // Per step, true where stages of this name are reused.
  const std::vector<bool>& schedule_of(const std::string& stage, const CalibratedTable& table,
                                       const Origin& origin) {
    const auto [found, is_new] = kinds_.try_emplace(stage, num_steps_, false);
    if (!is_new) return found->second;
    std::vector<const std::vector<double>*> errors;  // by lag − 1
    for (std::int64_t lag = 1; lag <= params_.max_lag; ++lag) {
      const auto distance = static_cast<std::size_t>(lag);
      const std::size_t size = num_steps_ > distance ? num_steps_ - distance : 0;
      errors.push_back(&table.row(stage + "." + std::to_string(lag), size, origin));
    }
    fill_schedule(errors, found->second);
    return found->second;
  }

  void fill_schedule(const std::vector<const std::vector<double>*>& errors,
                     std::vector<bool>& reused) const {
    std::size_t step = 0;
    while (step < num_steps_) {
      std::size_t lag = errors.size();
      while (lag > 0 &&
             !(step < errors[lag - 1]->size() && (*errors[lag - 1])[step] < params_.threshold)) {
        --lag;
      }
      std::fill_n(reused.begin() + static_cast<std::ptrdiff_t>(step) + 1, lag, true);
      step += lag + 1;
    }
    reused.back() = false;
  }

  SmoothcacheParams params_;
  std::size_t num_steps_;
  std::map<std::string, std::vector<bool>> kinds_;  // by name of the stages
  // Per expert, block and stage; they point into kinds_.
  std::vector<std::vector<std::vector<const std::vector<bool>*>>> schedules_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo smoothcache_cache_policy() {
  return {.name = "smoothcache",
          .summary = "SmoothCache: holds each kind of stage as long as its measured change allows",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(SmoothcacheParams()),
          .presets = {{"dit", "DiT-XL/2 at 50 steps: 0.18", R"({"threshold": 0.18})"},
                      {"open-sora", "Open-Sora 1.2 at 30 steps: 0.03, up to 5 steps",
                       R"({"threshold": 0.03, "max_lag": 5})"},
                      {"stable-audio", "Stable Audio Open at 100 steps: 0.15",
                       R"({"threshold": 0.15})"}},
          .tunable = R"({"threshold": [0.03, 0.08, 0.15, 0.22, 0.35]})",
          .table = kTable,
          .resolve = resolve_policy_params<SmoothcacheParams>,
          .make = make_policy<SmoothcachePolicy, SmoothcacheParams>};
}

}  // namespace bw
