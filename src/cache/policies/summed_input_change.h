// What TeaCache, D2Cache and SeaCache have in common: the change of the first block's modulated
// input, perhaps rescaled, is summed up by AccumulatedChange and decides for both branches. A
// policy of this kind is its parameters and a constructor. Read teacache.cc for the plainest.
#pragma once

#include <optional>
#include <utility>

#include "cache/policies/accumulated_change.h"
#include "cache/policies/polynomial.h"

namespace bw {

class SummedInputChangePolicy : public CachePolicy {
 public:
  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    return change_.plan(context);
  }

  // The weight is read where the rebuild is Rebuild::weighted.
  Verdict confirm(const EvaluationContext& context, Branch /*branch*/,
                  const EarlySignals& signals) const override {
    const std::optional<double> change = rescaled(signals[index_of(Branch::kCond)].distance);
    if (!change_.allows(context, change)) return false;
    return {true, extrapolates_ ? change_.progress(*change).value_or(0) : 0};
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    change_.observe(context, reused_middle(observation), rescaled(early_distance(observation)));
  }

 protected:
  struct Rule {
    AccumulatedChange::Limits limits;
    Polynomial polynomial = {};
    Rebuild rebuild;
    double content_spectrum = 0;  // SignalNeeds::content_spectrum
    bool extrapolates = false;    // carries the residual on by AccumulatedChange::progress
  };
  explicit SummedInputChangePolicy(Rule rule)
      : polynomial_(std::move(rule.polynomial)),
        change_(rule.limits),
        extrapolates_(rule.extrapolates) {
    needs_.sites = {Site::kMiddle};
    needs_.rebuild = rule.rebuild;
    needs_.signal = {.kind = SignalKind::kAttentionInput,
                     .branches = {true, false},
                     .early = true,
                     .against_computed = false,
                     .content_spectrum = rule.content_spectrum};
  }

 private:
  std::optional<double> rescaled(std::optional<double> change) const {
    if (change) change = polynomial_.rescaled(*change);
    return change;
  }

  Polynomial polynomial_;
  AccumulatedChange change_;
  bool extrapolates_;
  CacheNeeds needs_;
};

}  // namespace bw
