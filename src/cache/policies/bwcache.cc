// BWCache (arXiv 2509.13789): once the change of the blocks' features between neighbouring steps is
// small, reuse the whole stack for R steps, compute one, and so on; the last steps are computed.
//
//   indicator  d(k,n) = |f_k,n − f_prev,n|_1 / |f_prev,n|_1 in fp32 (eq. 5); the OLDER tensor is
//   the
//              denominator; `prev` is the last COMPUTED step; nothing accumulates
//   verdict    mean over the probed blocks n of d(k,n) < threshold (eq. 6-7), strictly, so that
//              0 never reuses and NaN never does
//   tensor f   block_output: paper; attention_input (norm1(h)·(1+scale)+shift): released code;
//              block_residual (output − input) and attention_residual: ours
//   payload    paper: block features, of which only the last matters (rebuild=output, or residual);
//              released code: one stack residual
// Published description: the paper's text and the readings of the released code by others. Both
// presets follow the schedule that fits the published reuse rates: the first trigger fixes the
// mask.
//
// k, R and the tail count scheduler steps. Of a Heun step the first evaluation is measured; the
// second shares the verdict and has its own anchor. With several experts each starts afresh, since
// the features of one say nothing about another's.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "cache/amounts.h"
#include "cache/policies/policy_factory.h"
#include "cache/policies/residual_stage.h"

namespace bw {
namespace {

constexpr std::array<std::string_view, 4> kIndicators = {"block_output", "attention_input",
                                                         "block_residual", "attention_residual"};
constexpr std::array<SignalKind, 4> kSignals = {
    SignalKind::kBlockOutput, SignalKind::kAttentionInput, SignalKind::kBlockResidual,
    SignalKind::kStageResidual};
constexpr std::array<std::string_view, 3> kVerdicts = {"cond", "mean", "each"};
constexpr std::array<std::string_view, 2> kTriggers = {"once", "every"};
constexpr std::array<std::string_view, 2> kTailBases = {"elapsed", "remaining"};

struct BwcacheParams final : Params {
  double threshold = 0.15;
  std::string reuse_interval = "10%";
  std::string probe_blocks = "all";
  std::string indicator = "block_output";
  std::string rebuild = "residual";
  std::string verdict = "cond";
  std::string trigger = "once";
  double tail = 0.5;
  std::string tail_of = "elapsed";

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "reuse once the mean relative change per block is below this; 0: never"},
             threshold, {.low = 0});
    v.text({"reuse_interval", "R: steps reused between two computed ones"}, reuse_interval,
           kStepCountForm);
    v.text({"probe_blocks", "blocks whose change is measured"}, probe_blocks, kBlockSetForm);
    v.choice({"indicator",
              "tensor that is compared: the paper's, the released code's, or what "
              "the block adds"},
             indicator, kIndicators);
    v.text({"rebuild", "how the reused stack gets its value"}, rebuild, Rebuild::kForm);
    v.choice({"verdict",
              "which guidance branches decide: cond for both, their mean, each for "
              "itself"},
             verdict, kVerdicts);
    v.choice({"trigger",
              "once: the first step below the threshold fixes the rest; every: each "
              "computed step is tested, its change divided by the gap in steps"},
             trigger, kTriggers);
    v.number({"tail", "computed at the end: a share of tail_of, or from 1 on a number of steps"},
             tail, {.low = 0});
    v.choice({"tail_of", "what a share counts from: steps before the first trigger, or after it"},
             tail_of, kTailBases);
  }

  void check(const Origin& origin) const override {
    check_step_count(reuse_interval, origin.at("reuse_interval"));
    check_block_set(probe_blocks, origin.at("probe_blocks"));
    (void)Rebuild::parse(rebuild, origin.at("rebuild"));
    if (tail >= 1 && std::floor(tail) != tail) {
      reject(origin.at("tail"),
             "must be a share below 1 or a whole number of steps, got " + Json(tail).dump());
    }
  }
};

struct Rule {
  double threshold = 0;
  std::int64_t reuse_interval = 0;
  bool every = false;
  double tail = 0;
  bool tail_of_remaining = false;
  std::int64_t num_steps = 0;

  // Steps computed at the end after a first trigger at step k.
  [[nodiscard]] std::int64_t tail_steps(std::int64_t k) const {
    if (tail >= 1) return static_cast<std::int64_t>(tail);
    const std::int64_t base = tail_of_remaining ? num_steps - 1 - k : k;
    return static_cast<std::int64_t>(std::floor(static_cast<double>(base) * tail));
  }
};

// The decisions that one verdict has led to.
class Mask {
 public:
  explicit Mask(std::int64_t num_steps) : reuse_(static_cast<std::size_t>(num_steps), false) {}

  [[nodiscard]] bool reuses(std::int64_t step) const {
    return reuse_[static_cast<std::size_t>(step)];
  }

  // Whether a distance measured at `step` can still change a decision.
  [[nodiscard]] bool listens(const Rule& rule, std::int64_t step) const {
    return !tail_start_ || (rule.every && step < *tail_start_);
  }

  // Step k was computed and lies `distance` (NaN: unknown) from the computed step `gap` before it.
  void learn(const Rule& rule, std::int64_t k, double distance, std::int64_t gap) {
    if (!listens(rule, k)) return;
    if (rule.every) std::fill(reuse_.begin() + k + 1, reuse_.end(), false);
    const double change = rule.every ? distance / static_cast<double>(gap) : distance;
    if (!(change < rule.threshold)) return;
    if (!tail_start_) tail_start_ = rule.num_steps - rule.tail_steps(k);
    const std::int64_t period = rule.reuse_interval + 1;
    const std::int64_t last = rule.every ? std::min(k + period, *tail_start_) : *tail_start_;
    for (std::int64_t j = k + 1; j < last; ++j) {
      reuse_[static_cast<std::size_t>(j)] = (j - k) % period != 0;
    }
  }

 private:
  std::vector<bool> reuse_;
  std::optional<std::int64_t> tail_start_;  // set by the first trigger
};

class BwcachePolicy final : public CachePolicy {
 public:
  BwcachePolicy(const BwcacheParams& params, const Origin& origin, const RunShape& shape)
      : each_(params.verdict == "each"),
        mean_(params.verdict == "mean"),
        rule_{.threshold = params.threshold,
              .reuse_interval =
                  step_count(params.reuse_interval, shape.num_steps, origin.at("reuse_interval")),
              .every = params.trigger == "every",
              .tail = params.tail,
              .tail_of_remaining = params.tail_of == "remaining",
              .num_steps = shape.num_steps},
        fresh_(shape.num_steps),
        masks_{fresh_, fresh_} {
    needs_.sites = {Site::kStack};
    needs_.rebuild = Rebuild::parse(params.rebuild, origin.at("rebuild"));
    const auto chosen = std::find(kIndicators.begin(), kIndicators.end(), params.indicator);
    needs_.signal.kind = kSignals[static_cast<std::size_t>(chosen - kIndicators.begin())];
    needs_.signal.branches = {true, each_ || mean_};
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      needs_.signal.blocks.push_back(
          block_set(params.probe_blocks, num_blocks, origin.at("probe_blocks")));
    }
    if (needs_.signal.kind == SignalKind::kStageResidual) choose_stages(shape);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    plan.measure = false;
    for (const Branch branch : kBranches) {
      const Mask& mask = context.expert == expert_ ? mask_of(branch) : fresh_;
      if (mask.reuses(context.step)) plan.branches[index_of(branch)].reuse = Site::kStack;
      plan.measure = plan.measure || mask.listens(rule_, context.step);
    }
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.expert != expert_) {
      masks_ = {fresh_, fresh_};
      expert_ = context.expert;
    }
    if (context.part != 0) return;
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    const BranchObservation& uncond = observation.branches[index_of(Branch::kUncond)];
    if (each_) {
      learn(Branch::kCond, context.step, cond, distance(cond));
      learn(Branch::kUncond, context.step, uncond, distance(uncond));
    } else {
      const bool both = mean_ && uncond.ran;
      const double verdict = both ? (distance(cond) + distance(uncond)) / 2 : distance(cond);
      learn(Branch::kCond, context.step, cond, verdict);
    }
  }

 private:
  void choose_stages(const RunShape& shape) {
    for (std::size_t expert = 0; expert < needs_.signal.blocks.size(); ++expert) {
      std::vector<std::size_t>& stages = needs_.signal.stages.emplace_back();
      for (const std::size_t block : needs_.signal.blocks[expert]) {
        stages.push_back(residual_stage(shape.stages.at(expert).at(block)));
      }
    }
  }

  // Unless each branch decides for itself, the first mask serves both.
  const Mask& mask_of(Branch branch) const { return masks_[each_ ? index_of(branch) : 0]; }

  static double distance(const BranchObservation& branch) {
    return mean_distance(branch.distances).value_or(std::numeric_limits<double>::quiet_NaN());
  }

  void learn(Branch branch, std::int64_t step, const BranchObservation& seen, double verdict) {
    if (!seen.ran || seen.done.reuse != Site::kNone) return;
    masks_[index_of(branch)].learn(rule_, step, verdict, seen.gap);
  }

  bool each_;
  bool mean_;
  Rule rule_;
  Mask fresh_;
  std::array<Mask, kNumBranches> masks_;
  std::size_t expert_ = 0;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo bwcache_cache_policy() {
  return {.name = "bwcache",
          .summary = "BWCache: reuses the block stack while block features change little",
          .provenance = Provenance::kPublishedDescription,
          .params = describe_params(BwcacheParams()),
          .presets = {{"published",
                       "the paper (arXiv 2509.13789, section 4): delta 0.15, R = 10 % of the steps",
                       R"({"threshold": 0.15, "reuse_interval": "10%", "probe_blocks": "all",
                "indicator": "block_output", "rebuild": "residual", "verdict": "cond",
                "trigger": "once", "tail": 0.5, "tail_of": "elapsed"})"},
                      {"released",
                       "the released code: modulated attention input, R = 3, one stack residual",
                       R"({"threshold": 0.15, "reuse_interval": 3, "probe_blocks": "all",
                "indicator": "attention_input", "rebuild": "residual", "verdict": "cond",
                "trigger": "once", "tail": 0.5, "tail_of": "elapsed"})"}},
          .tunable = R"({"threshold": "auto", "reuse_interval": [1, 2, 3, 5],
                "rebuild": ["output", "residual"]})",
          .resolve = resolve_policy_params<BwcacheParams>,
          .make = make_policy<BwcachePolicy, BwcacheParams>};
}

}  // namespace bw
