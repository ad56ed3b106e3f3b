// SeaCache (arXiv 2602.18993): TeaCache's rule on an input from which the noise has been filtered,
// so that the change follows the content; no polynomial is fitted.
//
//   signal     d(k) = |m̃_k − m̃_{k−1}|_1 / |m̃_{k−1}|_1 of block 0's modulated input after the filter
//              for the noise level of its step (wiener_filter.h); the OLDER tensor is the
//              denominator; k−1 is the last SEEN step, computed or not
//   verdict    A + d(k) < threshold reuses and adds d(k) to A; else it computes and A = 0
//   payload    one stack residual, Y = X + R
//   always     the first `retain_first` and the last `retain_last` steps are computed
// Published code (Wan2.1, FLUX), for models of the flow kind. Differs in two things: the code lets
// each branch decide for itself, here the conditional one decides for both, which is the same where
// the text enters inside the blocks; and the code compares the first input after the retained steps
// with one that was not filtered, here all are.
#include "cache/policies/policy_factory.h"
#include "cache/policies/summed_input_change.h"

namespace bw {
namespace {

struct SeacacheParams final : Params {
  double threshold = 0.2;
  double spectrum = 3;
  std::int64_t retain_first = 1;
  std::int64_t retain_last = 1;

  void visit(ParamVisitor& v) override {
    v.number(
        {"threshold", "reuse while the filtered input's summed change is below this; 0: never"},
        threshold, {.low = 0});
    v.number({"spectrum", "p of the content's power spectrum |f|^-p: 3 for video, 2 for images"},
             spectrum, {.low = 0.1, .high = 10});
    v.integer({"retain_first", "first steps that are always computed"}, retain_first, {.low = 1});
    v.integer({"retain_last", "last steps that are always computed"}, retain_last, {.low = 0});
  }
};

class SeacachePolicy final : public SummedInputChangePolicy {
 public:
  SeacachePolicy(const SeacacheParams& params, const Origin& origin, const RunShape& shape)
      : SummedInputChangePolicy({.limits = {.threshold = params.threshold,
                                            .first = params.retain_first,
                                            .last = params.retain_last,
                                            .num_steps = shape.num_steps},
                                 .rebuild = Rebuild::parse("residual", origin),
                                 .content_spectrum = params.spectrum}) {}
};

}  // namespace

CachePolicyInfo seacache_cache_policy() {
  return {.name = "seacache",
          .summary = "SeaCache: TeaCache's rule on an input from which noise has been filtered",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(SeacacheParams()),
          .presets = {{"slow", "Wan 2.1, 50 steps: threshold 0.2", R"({})"},
                      {"fast", "Wan 2.1 1.3B, 50 steps: threshold 0.35", R"({"threshold": 0.35})"},
                      {"flux", "FLUX.1-dev, 50 steps: threshold 0.3, spectrum of images",
                       R"({"threshold": 0.3, "spectrum": 2})"}},
          .tunable = R"({"threshold": [0.1, 0.2, 0.3, 0.5, 1]})",
          .resolve = resolve_policy_params<SeacacheParams>,
          .make = make_policy<SeacachePolicy, SeacacheParams>};
}

}  // namespace bw
