// MixCache (arXiv 2508.12691) reuses at three levels, one per step: the whole step, the
// unconditional branch, or some blocks. When that may begin, and which level it is, is decided from
// what has been seen. The abstract says no more; the rules here are our own.
//
//   signal     per computed step of the conditional branch and block n: d(n) = |r − r'|_1 / |r'|_1
//              per step since the block was computed last, r what the block adds; a = mean d(n)
//   gate       ā = (a + ā)/2. It opens once two computed steps in a row, from `retain_first` on,
//   have
//              ā <= settle · max ā and |ā − ā'| <= flat · ā, which 1 and 1 always have; it closes
//              when ā > unsettle · max ā, and for the last `tail` steps
//   errors     step: a (1 + n), n the steps since the last full one; cfg: cfg_weight · a (1 + n);
//              block: |S|/N · max d(n) over S, the share `blocks` of all that changed least
//   choice     of the levels with an error below the threshold the one of the greatest
//              saved − mu · error · (1 + repeat · times it was chosen in a row, full steps aside),
//              saved 1, 0.5 and |S|/N; none, or max_reused steps after a full one: a full step
//   payload    the stack's residual; the kept difference of the branches; residuals of blocks
//   mixing     after a step without the unconditional branch only that level is left until the next
//              full step: what was kept of the two branches is of different steps
// Reconstruction. The change of the guided output and the size of the branches' difference cannot
// be seen here: a stands for the first, cfg_weight · a for what holding the second costs.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "cache/amounts.h"
#include "cache/policies/all_blocks.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr int kStepsToOpen = 2;
constexpr double kUncondShare = 0.5;  // of the work of a guided step

struct MixcacheParams final : Params {
  double threshold = 0.12;
  std::string retain_first = "8%";
  std::string tail = "6%";
  double settle = 1;
  double unsettle = 1;
  double flat = 1;
  std::int64_t max_reused = 3;
  std::string blocks = "50%";
  double cfg_weight = 0.6;
  double mu = 4;
  double repeat = 0.5;

  void visit(ParamVisitor& v) override {
    v.number({"threshold", "highest error of a level that may be chosen; 0: never"}, threshold,
             {.low = 0});
    v.text({"retain_first", "first steps that are always computed"}, retain_first, kStepCountForm);
    v.text({"tail", "last steps that are always computed"}, tail, kStepCountForm);
    v.number({"settle", "reuse once the change is this share of the largest; 1: whatever it is"},
             settle, {.low = 0, .high = 1});
    v.number({"unsettle", "stop when it exceeds this share of the largest; 1: never"}, unsettle,
             {.low = 0, .high = 1});
    v.number({"flat", "reuse once the change differs by this share at most from the one before"},
             flat, {.low = 0});
    v.integer({"max_reused", "most steps between two full ones"}, max_reused, {.low = 1});
    v.text({"blocks", "how many blocks are left out at the level of blocks"}, blocks,
           kBlockCountForm);
    v.number({"cfg_weight", "error of a held difference of the branches, in that of a held step"},
             cfg_weight, {.low = 0});
    v.number({"mu", "weight of the error against the work saved"}, mu, {.low = 0});
    v.number({"repeat", "what the error counts more each time a level is chosen in a row"}, repeat,
             {.low = 0});
  }
  void check(const Origin& origin) const override {
    check_step_count(retain_first, origin.at("retain_first"));
    check_step_count(tail, origin.at("tail"));
    check_block_count(blocks, origin.at("blocks"));
  }
};

// Whether changes have settled.
class ChangeGate {
 public:
  explicit ChangeGate(const MixcacheParams& params)
      : settle_(params.settle), unsettle_(params.unsettle), flat_(params.flat) {}

  [[nodiscard]] bool is_open() const { return is_open_; }

  // change: of a computed step. NaN closes.
  void learn(double change, bool may_open) {
    const double before = mean_.value_or(change);
    const bool is_first = !mean_;
    mean_ = (change + before) / 2;
    largest_ = std::max(largest_, *mean_);
    const bool is_settled =
        !is_first && *mean_ <= settle_ * largest_ && std::abs(*mean_ - before) <= flat_ * *mean_;
    calm_steps_ = is_settled && may_open ? calm_steps_ + 1 : 0;
    if (calm_steps_ >= kStepsToOpen) is_open_ = true;
    if (!(*mean_ <= unsettle_ * largest_)) is_open_ = false;
  }

 private:
  double settle_;
  double unsettle_;
  double flat_;
  std::optional<double> mean_;
  double largest_ = 0;
  int calm_steps_ = 0;
  bool is_open_ = false;
};

enum class Level : std::uint8_t { kFull, kStep, kCfg, kBlock };

class MixcachePolicy final : public CachePolicy {
 public:
  MixcachePolicy(const MixcacheParams& params, const Origin& origin, const RunShape& shape)
      : params_(params),
        warmup_(step_count(params.retain_first, shape.num_steps, origin.at("retain_first"))),
        tail_(shape.num_steps - step_count(params.tail, shape.num_steps, origin.at("tail"))),
        gate_(params) {
    needs_.sites = {Site::kCfg, Site::kStack, Site::kBlock};
    needs_.rebuild = Rebuild::parse("residual", origin);
    needs_.signal.kind = SignalKind::kBlockResidual;
    needs_.signal.branches = {true, false};
    probe_and_reuse_all_blocks(needs_, shape);
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      num_held_.push_back(block_count(params.blocks, num_blocks, origin.at("blocks")));
    }
    restart(0);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    // The second part of a step follows the first.
    const bool is_decided = context.step == step_ && context.expert == expert_;
    switch (is_decided ? level_ : choose(context)) {
      case Level::kFull:
        return plan;
      case Level::kCfg:
        plan.branches[index_of(Branch::kUncond)].reuse = Site::kCfg;
        return plan;
      case Level::kStep:
        for (BranchPlan& branch : plan.branches) branch.reuse = Site::kStack;
        return plan;
      case Level::kBlock:
        for (BranchPlan& branch : plan.branches) {
          branch = {.reuse = Site::kBlock, .blocks = held_};
        }
    }
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    if (context.part != 0) return;
    if (context.expert != expert_) restart(context.expert);
    const BranchObservation& cond = observation.branches[index_of(Branch::kCond)];
    const BranchObservation& uncond = observation.branches[index_of(Branch::kUncond)];
    step_ = context.step;
    level_ = level_of(cond, uncond);
    if (cond.done.reuse == Site::kNone) learn(context.step, cond.distances);
    for (std::size_t block = 0; block < computed_.size(); ++block) {
      const bool is_reused = cond.done.reuse == Site::kStack ||
                             (cond.done.reuse == Site::kBlock && cond.done.blocks[block]);
      if (!is_reused) computed_[block] = context.step;
    }
    if (level_ == Level::kFull) {
      since_full_ = 0;
      is_mixed_ = false;
      return;
    }
    ++since_full_;
    is_mixed_ = is_mixed_ || level_ == Level::kCfg;
    in_a_row_ = level_ == chosen_ ? in_a_row_ + 1 : 1;
    chosen_ = level_;
  }

 private:
  // Nothing is known of another expert's features.
  void restart(std::size_t expert) {
    expert_ = expert;
    gate_ = ChangeGate(params_);
    const std::size_t num_blocks = needs_.reusable_blocks[expert].size();
    computed_.assign(num_blocks, -1);
    changes_.clear();
    held_.clear();
    since_full_ = 0;
    is_mixed_ = false;
  }

  static Level level_of(const BranchObservation& cond, const BranchObservation& uncond) {
    if (uncond.ran && uncond.done.reuse == Site::kCfg) return Level::kCfg;
    if (cond.done.reuse == Site::kStack) return Level::kStep;
    if (cond.done.reuse == Site::kBlock) return Level::kBlock;
    return Level::kFull;
  }

  void learn(std::int64_t step, const std::vector<double>& distances) {
    if (distances.empty()) return;
    changes_.clear();
    for (std::size_t block = 0; block < distances.size(); ++block) {
      changes_.push_back(distances[block] / static_cast<double>(step - computed_[block]));
    }
    mean_ = mean_distance(changes_).value_or(std::numeric_limits<double>::quiet_NaN());
    gate_.learn(mean_, step >= warmup_);
    std::vector<std::size_t> order(changes_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto key = [&](std::size_t block) {
      return std::isnan(changes_[block]) ? HUGE_VAL : changes_[block];
    };
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    held_.assign(changes_.size(), false);
    for (std::size_t i = 0; i < num_held_[expert_]; ++i) held_[order[i]] = true;
    worst_held_ = key(order[num_held_[expert_] - 1]);
  }

  struct Candidate {
    Level level;
    double saved;
    double error;
    bool is_allowed;
  };

  Level choose(const EvaluationContext& context) const {
    const bool may_reuse = context.expert == expert_ && gate_.is_open() && !changes_.empty() &&
                           context.step >= warmup_ && context.step < tail_ &&
                           since_full_ < params_.max_reused;
    if (!may_reuse) return Level::kFull;
    const double age = 1 + static_cast<double>(since_full_);
    const double share =
        static_cast<double>(num_held_[expert_]) / static_cast<double>(changes_.size());
    const std::array<Candidate, 3> candidates = {{
        {Level::kStep, 1, mean_ * age, !is_mixed_},
        {Level::kCfg, kUncondShare, params_.cfg_weight * mean_ * age, context.guided},
        {Level::kBlock, share, worst_held_ * share, !is_mixed_},
    }};
    Level best = Level::kFull;
    double best_score = 0;
    for (const Candidate& candidate : candidates) {
      if (!candidate.is_allowed || !(candidate.error < params_.threshold)) continue;
      const double times = candidate.level == chosen_ ? static_cast<double>(in_a_row_) : 0;
      const double score =
          candidate.saved - params_.mu * candidate.error * (1 + params_.repeat * times);
      if (best != Level::kFull && score <= best_score) continue;
      best = candidate.level;
      best_score = score;
    }
    return best;
  }

  MixcacheParams params_;
  std::int64_t warmup_;
  std::int64_t tail_;                  // first step of it
  std::vector<std::size_t> num_held_;  // per expert, blocks that the level of blocks leaves out
  ChangeGate gate_;
  std::size_t expert_ = 0;
  std::vector<std::int64_t> computed_;  // per block, the step that computed it last
  std::vector<double> changes_;         // d(n) at the last step that computed all
  double mean_ = 0;                     // of these
  std::vector<bool> held_;              // S
  double worst_held_ = 0;               // the largest change in S
  std::int64_t step_ = -1;              // observed last, and what was done there
  Level level_ = Level::kFull;
  std::int64_t since_full_ = 0;  // steps that reused since the last full one
  bool is_mixed_ = false;        // one of them left the unconditional branch out
  Level chosen_ = Level::kFull;  // the last level that reused, and how often in a row
  std::int64_t in_a_row_ = 0;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo mixcache_cache_policy() {
  return {.name = "mixcache",
          .summary = "MixCache: reuses a step, the unconditional branch or blocks, as errors allow",
          .provenance = Provenance::kReconstruction,
          .params = describe_params(MixcacheParams()),
          .presets = {{"settled", "begins once changes are small and steady, stops when they grow",
                       R"({"settle": 0.35, "unsettle": 0.6, "flat": 0.15})"}},
          .tunable = R"({"threshold": "auto", "settle": [0.35, 1], "max_reused": [1, 2, 3]})",
          .resolve = resolve_policy_params<MixcacheParams>,
          .make = make_policy<MixcachePolicy, MixcacheParams>};
}

}  // namespace bw
