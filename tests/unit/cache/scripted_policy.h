// A policy that does what the test says, and remembers what it was told.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "cache/cache_policy.h"

namespace bw::testing {

class ScriptedPolicy final : public CachePolicy {
 public:
  ScriptedPolicy(CacheNeeds needs, std::map<std::int64_t, EvaluationPlan> plans,
                 std::vector<Observation>* seen = nullptr)
      : needs_(std::move(needs)), plans_(std::move(plans)), seen_(seen) {}

  const CacheNeeds& needs() const override { return needs_; }
  EvaluationPlan begin(const EvaluationContext& context) const override {
    const auto plan = plans_.find(context.index);
    return plan == plans_.end() ? EvaluationPlan() : plan->second;
  }
  void observe(const EvaluationContext&, const Observation& observation) override {
    if (seen_ != nullptr) seen_->push_back(observation);
  }

 private:
  CacheNeeds needs_;
  std::map<std::int64_t, EvaluationPlan> plans_;  // by evaluation; absent: compute
  std::vector<Observation>* seen_;
};

inline EvaluationPlan reuse_both(Site site) {
  EvaluationPlan plan;
  if (site == Site::kGuided) {
    plan.reuse_guided = true;
  } else {
    for (BranchPlan& branch : plan.branches) branch.reuse = site;
  }
  return plan;
}

inline CacheNeeds needs_of(Site site, std::string_view rebuild = "output") {
  CacheNeeds needs;
  needs.sites = {site};
  needs.rebuild = Rebuild::parse(rebuild, Origin::flag("rebuild"));
  return needs;
}

}  // namespace bw::testing
