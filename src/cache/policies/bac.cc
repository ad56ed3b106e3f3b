// BAC, block-wise adaptive caching (arXiv 2506.13456): every stage of every block has steps of its
// own at which it is computed, chosen from a recorded run so that what is held in between is most
// like what it stands for. Feed-forwards with a large error also follow the deeper ones ("bubbling
// union"), since they take over the error of stale inputs exactly when they are computed.
//
//   table      per stage b the steps C_b that maximise the sum over all other steps t of
//              cos(F_i, F_t), i the last step of C_b before t; F is the output before gate and sum
//   union      of the feed-forwards the `bubbling` with the largest error, deepest first:
//              C_w ← C_w ∪ C_v for every feed-forward v deeper than w
//   verdict    step k computes stage b iff k is in C_b
//   payload    every stage's output, held
// Published code, made for robot policies; no source has measured it on text to video. A
// feed-forward is a stage named feed_forward.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "cache/amounts.h"
#include "cache/calibrated_table.h"
#include "cache/policies/attention_stages.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kTable = "schedule";
constexpr std::string_view kFeedForward = "feed_forward";

struct BacParams final : CalibratedParams {
  std::string updates = "50%";
  std::int64_t bubbling = 3;
  std::string losses;

  void visit(ParamVisitor& v) override {
    v.text({"updates", "at how many steps calibrating lets a stage be computed"}, updates,
           kStepCountForm);
    v.integer({"bubbling", "how many feed-forwards follow the deeper ones; 0: none"}, bubbling,
              {.low = 0});
    visit_table(v, {kTable, "rows EXPERT.BLOCK.STAGE: the steps at which the stage is computed"});
    v.text({"losses", "rows EXPERT.BLOCK.feed_forward: how large its error is"}, losses,
           kTableForm);
  }
  void check(const Origin& origin) const override {
    check_step_count(updates, origin.at("updates"));
    check_table(kTable, origin);
    (void)CalibratedTable::parse(losses, origin.at("losses"));
  }
};

class BacPolicy final : public CachePolicy {
 public:
  BacPolicy(const BacParams& params, const Origin& origin, const RunShape& shape)
      : num_steps_(static_cast<std::size_t>(shape.num_steps)) {
    RunIdentity identity = shape.identity;
    if (!identity.empty()) identity["updates"] = params.updates;
    const CalibratedTable table = params.load_table(kTable, "bac", origin, identity);
    const CalibratedTable losses = CalibratedTable::parse(params.losses, origin.at("losses"));
    needs_.sites = {Site::kStage};
    for (std::size_t expert = 0; expert < shape.stages.size(); ++expert) {
      std::vector<Stage> stages;
      const auto& blocks = shape.stages[expert];
      for (StageRef at; at.block < blocks.size(); ++at.block) {
        for (at.stage = 0; at.stage < blocks[at.block].size(); ++at.stage) {
          stages.push_back({at, row_of(expert, at, blocks), {}, 0});
          read_stage(stages.back(), table, origin.at(kTable));
          if (blocks[at.block][at.stage] != kFeedForward) continue;
          stages.back().is_feed_forward = true;
          if (params.bubbling == 0) continue;
          stages.back().loss = losses.row(stages.back().row, 1, origin.at("losses")).front();
        }
      }
      unite(stages, static_cast<std::size_t>(params.bubbling));
      add_expert(stages, blocks);
    }
    if (!any_stage_) reject_without_stages(origin);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    const Mask& mask = masks_[context.expert][static_cast<std::size_t>(context.step)];
    if (!mask.any) return plan;
    for (BranchPlan& branch : plan.branches) {
      branch = {.reuse = Site::kStage, .stages = mask.reused};
    }
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  struct Stage {
    StageRef at;
    std::string row;
    std::set<std::size_t> updates;
    double loss = 0;
    bool is_feed_forward = false;
  };
  struct Mask {
    std::vector<std::vector<bool>> reused;  // per block and stage
    bool any = false;
  };

  static std::string row_of(std::size_t expert, StageRef at,
                            const std::vector<std::vector<std::string>>& blocks) {
    std::string row = std::to_string(expert) + ".";
    row += std::to_string(at.block) + ".";
    return row + blocks[at.block][at.stage];
  }

  void read_stage(Stage& stage, const CalibratedTable& table, const Origin& origin) {
    const std::vector<double>* steps = table.find(stage.row);
    const std::size_t count = steps == nullptr ? 0 : steps->size();
    for (const double step : table.row(stage.row, count, origin)) {
      if (!(step >= 0 && step < static_cast<double>(num_steps_) && std::floor(step) == step)) {
        reject(origin, "row '" + stage.row + "': " + Json(step).dump() +
                           " is no step of this run, which has " + std::to_string(num_steps_) +
                           " steps, counted from 0");
      }
      stage.updates.insert(static_cast<std::size_t>(step));
    }
    any_stage_ = true;
  }

  static void unite(std::vector<Stage>& stages, std::size_t bubbling) {
    std::vector<Stage*> by_loss;
    for (Stage& stage : stages) {
      if (stage.is_feed_forward) by_loss.push_back(&stage);
    }
    const std::vector<Stage*> by_depth = by_loss;
    std::stable_sort(by_loss.begin(), by_loss.end(),
                     [](const Stage* a, const Stage* b) { return a->loss > b->loss; });
    by_loss.resize(std::min(by_loss.size(), bubbling));
    for (auto deep = by_depth.rbegin(); deep != by_depth.rend(); ++deep) {
      if (std::find(by_loss.begin(), by_loss.end(), *deep) == by_loss.end()) continue;
      for (auto deeper = by_depth.rbegin(); deeper != deep; ++deeper) {
        (*deep)->updates.insert((*deeper)->updates.begin(), (*deeper)->updates.end());
      }
    }
  }

  void add_expert(const std::vector<Stage>& stages,
                  const std::vector<std::vector<std::string>>& blocks) {
    std::vector<Mask>& masks = masks_.emplace_back(num_steps_);
    for (Mask& mask : masks) {
      for (const auto& names : blocks) mask.reused.emplace_back(names.size(), false);
    }
    std::vector<StageRef>& reusable = needs_.reusable_stages.emplace_back();
    for (const Stage& stage : stages) {
      if (stage.updates.size() < num_steps_) reusable.push_back(stage.at);
      for (std::size_t step = 0; step < num_steps_; ++step) {
        if (stage.updates.contains(step)) continue;
        masks[step].reused[stage.at.block][stage.at.stage] = true;
        masks[step].any = true;
      }
    }
  }

  std::size_t num_steps_;
  bool any_stage_ = false;
  std::vector<std::vector<Mask>> masks_;  // per expert and step
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo bac_cache_policy() {
  return {.name = "bac",
          .summary = "BAC: computes every stage at steps of its own, found in a recorded run",
          .provenance = Provenance::kPublishedCode,
          .params = describe_params(BacParams()),
          .presets = {{"unified", "without the bubbling union", R"({"bubbling": 0})"}},
          .tunable = R"({"bubbling": [0, 3]})",
          .table = kTable,
          .resolve = resolve_policy_params<BacParams>,
          .make = make_policy<BacPolicy, BacParams>};
}

}  // namespace bw
