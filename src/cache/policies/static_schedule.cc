// Reuses at steps fixed beforehand: all but every n-th, or those of a list. Measures nothing; the
// baseline that an adaptive policy has to beat, and a player for masks found elsewhere (LeMiCa's
// and ECAD's masks are lists). At the stages, every=n is FORA (arXiv 2407.01425): attention and
// feed-forward outputs are held before their gates, so that the gate of the current step applies.
#include <algorithm>
#include <array>
#include <string>

#include "cache/amounts.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::array<std::string_view, 5> kSiteNames = {"stack", "block", "stage", "branch",
                                                        "guided"};
constexpr std::array<Site, 5> kSites = {Site::kStack, Site::kBlock, Site::kStage, Site::kBranch,
                                        Site::kGuided};

struct StaticParams final : Params {
  std::int64_t every = 2;
  std::string steps;
  std::string site = "stack";
  std::string blocks = "all";
  std::string stages = "all";
  std::string rebuild = "output";

  void visit(ParamVisitor& visitor) override {
    visitor.integer({"every", "compute steps 0, n, 2n, …, reuse the others"}, every, {.low = 1});
    visitor.text({"steps", "reuse at exactly these steps instead; empty: follow `every`"}, steps,
                 kStepListForm);
    visitor.choice({"site", "what is reused"}, site, kSiteNames);
    visitor.text({"blocks", "site=block or stage: in which blocks"}, blocks, kBlockSetForm);
    visitor.text({"stages", "site=stage: which stages are reused"}, stages, kStageSetForm);
    visitor.text({"rebuild", "how a reused value is made"}, rebuild, Rebuild::kForm);
  }

  void check(const Origin& origin) const override {
    (void)step_list(steps, origin.at("steps"));
    check_block_set(blocks, origin.at("blocks"));
    (void)Rebuild::parse(rebuild, origin.at("rebuild"));
    (void)stage_names(stages, origin.at("stages"));
    if (site != "block" && site != "stage" && blocks != "all") {
      reject(origin.at("blocks"),
             "'" + blocks + "' needs site=block or site=stage (site is " + site + ")");
    }
    if (site != "stage" && stages != "all") {
      reject(origin.at("stages"), "'" + stages + "' needs site=stage (site is " + site + ")");
    }
    if (site == "stage" && rebuild == "residual") {
      reject(
          origin.at("rebuild"),
          "a stage's output (site=stage) is kept before its sum and has no residual; use output, "
          "linear or taylor:n");
    }
    if ((site == "branch" || site == "guided") && rebuild == "residual") {
      reject(origin.at("rebuild"),
             "a prediction (site=" + site + ") has no residual; use output, linear or taylor:n");
    }
  }

  [[nodiscard]] Site reuse_site() const {
    const auto found = std::find(kSiteNames.begin(), kSiteNames.end(), site);
    return kSites[static_cast<std::size_t>(found - kSiteNames.begin())];
  }
};

class StaticPolicy final : public CachePolicy {
 public:
  StaticPolicy(const StaticParams& params, const Origin& origin, const RunShape& shape)
      : every_(params.every),
        uses_list_(!params.steps.empty()),
        steps_(step_list(params.steps, origin.at("steps"))),
        site_(params.reuse_site()) {
    if (uses_list_ && steps_.back() >= shape.num_steps) {
      reject(origin.at("steps"), "step " + std::to_string(steps_.back()) +
                                     " does not exist; the run has " +
                                     std::to_string(shape.num_steps) + " steps, counted from 0");
    }
    needs_.sites = {site_};
    needs_.rebuild = Rebuild::parse(params.rebuild, origin.at("rebuild"));
    for (const std::size_t num_blocks : shape.blocks_per_expert) {
      const std::vector<std::size_t> reused =
          block_set(params.blocks, num_blocks, origin.at("blocks"));
      std::vector<bool> mask(num_blocks, false);
      for (const std::size_t block : reused) mask[block] = true;
      masks_.push_back(std::move(mask));
      if (site_ == Site::kBlock) needs_.reusable_blocks.push_back(reused);
    }
    if (site_ == Site::kStage) choose_stages(params, origin.at("stages"), shape);
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan;
    if (!reuses(context.step)) return plan;
    if (site_ == Site::kGuided) {
      plan.reuse_guided = true;
      return plan;
    }
    for (BranchPlan& branch : plan.branches) {
      branch.reuse = site_;
      if (site_ == Site::kBlock) branch.blocks = masks_[context.expert];
      if (site_ == Site::kStage) branch.stages = stage_masks_[context.expert];
    }
    return plan;
  }

  void observe(const EvaluationContext&, const Observation&) override {}

 private:
  using StageMask = std::vector<std::vector<bool>>;  // per block and stage

  // Blocks of different kinds have different stages: a name must be that of a stage somewhere.
  void choose_stages(const StaticParams& params, const Origin& origin, const RunShape& shape) {
    const std::vector<std::string> names = stage_names(params.stages, origin);
    std::vector<std::string> known;
    for (std::size_t expert = 0; expert < masks_.size(); ++expert) {
      StageMask mask;
      std::vector<StageRef> reusable;
      for (std::size_t block = 0; block < masks_[expert].size(); ++block) {
        std::vector<bool>& flags = mask.emplace_back();
        for (const std::string& name : shape.stages.at(expert).at(block)) {
          const bool is_named = names.empty() || std::ranges::find(names, name) != names.end();
          if (is_named && masks_[expert][block]) reusable.push_back({block, flags.size()});
          flags.push_back(is_named && masks_[expert][block]);
          if (std::ranges::find(known, name) == known.end()) known.push_back(name);
        }
      }
      stage_masks_.push_back(std::move(mask));
      needs_.reusable_stages.push_back(std::move(reusable));
    }
    for (const std::string& name : names) {
      if (std::ranges::find(known, name) != known.end()) continue;
      reject(origin, "the model has no stage '" + name + "'" + known_names_hint(name, known));
    }
  }

  bool reuses(std::int64_t step) const {
    if (uses_list_) return std::binary_search(steps_.begin(), steps_.end(), step);
    return step % every_ != 0;
  }

  std::int64_t every_;
  bool uses_list_;
  std::vector<std::int64_t> steps_;
  Site site_;
  std::vector<std::vector<bool>> masks_;  // per expert
  std::vector<StageMask> stage_masks_;    // per expert; site kStage only
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo static_schedule_cache_policy() {
  return {.name = "static",
          .summary = "reuses at fixed steps: all but every n-th, or a list",
          .provenance = Provenance::kExact,
          .params = describe_params(StaticParams()),
          .presets = {{"every-2", "computes every second step", R"({"every": 2})"},
                      {"every-3", "computes every third step", R"({"every": 3})"},
                      {"predictions", "holds the guided prediction every second step",
                       R"({"every": 2, "site": "guided"})"},
                      {"branches", "holds each branch's prediction every second step",
                       R"({"every": 2, "site": "branch"})"},
                      {"half-blocks", "reuses every second block in two of three steps",
                       R"({"every": 3, "site": "block", "blocks": "50%", "rebuild": "residual"})"},
                      {"fora", "FORA (arXiv 2407.01425): holds every stage's output",
                       R"({"every": 2, "site": "stage"})", /*is_name=*/true},
                      {"taylorseer",
                       "TaylorSeer (arXiv 2503.06923): every 5th step, order 1, as for Wan",
                       R"({"every": 5, "site": "stage", "rebuild": "linear"})", /*is_name=*/true},
                      {"stage-forecast", "extrapolates every stage's output linearly",
                       R"({"every": 3, "site": "stage", "rebuild": "linear"})"},
                      {"forecast", "extrapolates the stack's residual by a parabola",
                       R"({"every": 2, "rebuild": "taylor:2"})"}},
          .tunable = R"({"every": [2, 3, 4], "rebuild": ["output", "residual", "linear"]})",
          .resolve = resolve_policy_params<StaticParams>,
          .make = make_policy<StaticPolicy, StaticParams>};
}

}  // namespace bw
