// TeaCache (arXiv 2411.19108): the change of the modulated input of the first block, rescaled by a
// polynomial, is summed up step by step; while the sum is below the threshold the stack's residual
// is reused.
//
//   signal     d(k) = |m_k − m_{k−1}|_1 / |m_{k−1}|_1 of norm1(h)·(1+scale)+shift of block 0 in
//              fp32; the OLDER tensor is the denominator; k−1 is the last SEEN step, computed or
//              not
//   verdict    A + p(d(k)) < threshold reuses and adds p(d(k)) to A; else it computes and A = 0.
//              p is a polynomial fitted per model; without one p(d) = d
//   payload    one stack residual, Y = X + R
//   always     the first `retain_first` and the last `retain_last` steps are computed
// Published code (image models, HunyuanVideo, Open-Sora; Wan's code probes the time embedding,
// which is another signal with other polynomials). A polynomial is only trusted where it is
// positive: a quartic is wild outside the range it was fitted on, so what it gives below 0 counts
// as 0. run/calibrations/teacache.cc fits one.
#include <string>

#include "cache/made_for.h"
#include "cache/policies/policy_factory.h"
#include "cache/policies/summed_input_change.h"

namespace bw {
namespace {

struct TeacacheParams final : Params {
  double threshold = 0.1;
  std::string polynomial = "none";
  std::int64_t retain_first = 1;
  std::int64_t retain_last = 1;
  std::string made_for;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse while the summed change is below this; 0: never"}, threshold,
             {.low = 0});
    v.text({"polynomial", "rescales a change before it is summed"}, polynomial, kPolynomialForm);
    v.integer({"retain_first", "first steps that are always computed"}, retain_first, {.low = 1});
    v.integer({"retain_last", "last steps that are always computed"}, retain_last, {.low = 0});
    v.text({"made_for", "what the polynomial was fitted to; a run that differs is refused"},
           made_for, kMadeForForm);
  }
  void check(const Origin& origin) const override {
    check_made_for_form(made_for, origin.at("made_for"));
    (void)Polynomial::parse(polynomial, origin.at("polynomial"));
  }
};

class TeacachePolicy final : public SummedInputChangePolicy {
 public:
  TeacachePolicy(const TeacacheParams& params, const Origin& origin, const RunShape& shape)
      : SummedInputChangePolicy(
            {.limits = {.threshold = params.threshold,
                        .first = params.retain_first,
                        .last = params.retain_last,
                        .num_steps = shape.num_steps},
             .polynomial = Polynomial::parse(params.polynomial, origin.at("polynomial")),
             .rebuild = Rebuild::parse("residual", origin)}) {
    check_made_for(params.made_for, shape.identity, origin.at("made_for"));
  }
};

}  // namespace

CachePolicyInfo teacache_cache_policy() {
  return {.name = "teacache",
          .summary = "TeaCache: reuses the stack while the summed change of its input is small",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(TeacacheParams()),
          .presets = {{"slow", "Open-Sora, Latte: 0.1", R"({"threshold": 0.1})"},
                      {"fast", "Open-Sora, Latte: 0.2", R"({"threshold": 0.2})"},
                      {"hunyuan-video", "HunyuanVideo's polynomial, threshold 0.15 (2.1x)",
                       R"({"threshold": 0.15, "polynomial":
                  "733.226126;-401.131952;67.5869174;-3.14987800;0.0961237896"})"}},
          .tunable = R"({"threshold": "auto"})",
          .resolve = resolve_policy_params<TeacacheParams>,
          .make = make_policy<TeacachePolicy, TeacacheParams>};
}

}  // namespace bw
