// Computes everything: the exact run that every other policy is compared with.
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

struct NoneParams final : Params {
  void visit(ParamVisitor& /*visitor*/) override {}
};

class NonePolicy final : public CachePolicy {
 public:
  NonePolicy(const NoneParams&, const Origin&, const RunShape&) {}
  const CacheNeeds& needs() const override { return needs_; }
  EvaluationPlan begin(const EvaluationContext&) const override { return {}; }
  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo none_cache_policy() {
  return {.name = "none",
          .summary = "computes everything; exact",
          .provenance = Provenance::kExact,
          .params = describe_params(NoneParams()),
          .presets = {},
          .resolve = resolve_policy_params<NoneParams>,
          .make = make_policy<NonePolicy, NoneParams>};
}

}  // namespace bw
