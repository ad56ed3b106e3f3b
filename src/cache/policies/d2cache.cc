// D2Cache: TeaCache's steps, but the residual is carried on by how far the summed change has come,
// measured by what it had come to over the computed steps before.
//
//   signal, verdict, always    as TeaCache (teacache.cc)
//   payload    R₁ and R₂, the stack's residuals of the last two computed steps:
//              Y = X + R₁ + s (R₁ − R₂), s = A / A', A the change summed up since the last computed
//              step, with this step's, A' what had been summed up there, with that step's
// Published code. Without a second computed step, or where A' is 0, R₁ is held (the released code
// divides by A' + 1e-8). At steps that are computed whatever is measured, A' counts their change
// too; the released code has such steps at both ends alone. One s serves both branches.
#include <string>

#include "cache/policies/policy_factory.h"
#include "cache/policies/summed_input_change.h"

namespace bw {
namespace {

struct D2cacheParams final : Params {
  double threshold = 0.1;
  std::string polynomial = "none";
  std::int64_t retain_first = 1;
  std::int64_t retain_last = 1;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse while the summed change is below this; 0: never"}, threshold,
             {.low = 0});
    v.text({"polynomial", "rescales a change before it is summed"}, polynomial, kPolynomialForm);
    v.integer({"retain_first", "first steps that are always computed"}, retain_first, {.low = 1});
    v.integer({"retain_last", "last steps that are always computed"}, retain_last, {.low = 0});
  }
  void check(const Origin& origin) const override {
    (void)Polynomial::parse(polynomial, origin.at("polynomial"));
  }
};

class D2cachePolicy final : public SummedInputChangePolicy {
 public:
  D2cachePolicy(const D2cacheParams& params, const Origin& origin, const RunShape& shape)
      : SummedInputChangePolicy(
            {.limits = {.threshold = params.threshold,
                        .first = params.retain_first,
                        .last = params.retain_last,
                        .num_steps = shape.num_steps},
             .polynomial = Polynomial::parse(params.polynomial, origin.at("polynomial")),
             .rebuild = Rebuild::weighted(/*residual=*/true),
             .extrapolates = true}) {}
};

}  // namespace

CachePolicyInfo d2cache_cache_policy() {
  return {.name = "d2cache",
          .summary = "D2Cache: TeaCache's steps, residuals carried on by the summed change",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(D2cacheParams()),
          .presets = {{"slow", "Open-Sora: its polynomial, threshold 0.1",
                       R"({"threshold": 0.1, "polynomial":
                  "217.546007;-118.329252;26.8662585;-0.0459364272;0.048442624"})"},
                      {"fast", "Open-Sora: its polynomial, threshold 0.2",
                       R"({"threshold": 0.2, "polynomial":
                  "217.546007;-118.329252;26.8662585;-0.0459364272;0.048442624"})"},
                      {"plain", "no polynomial, threshold 0.1", R"({"threshold": 0.1})"}},
          .tunable = R"({"threshold": "auto"})",
          .resolve = resolve_policy_params<D2cacheParams>,
          .make = make_policy<D2cachePolicy, D2cacheParams>};
}

}  // namespace bw
