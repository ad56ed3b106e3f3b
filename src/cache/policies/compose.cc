// Two policies in one run: a step policy decides whether a step's predictions or stacks are reused
// as a whole, and where it computes, a block policy decides what of the blocks is reused inside.
//
//   begin    the step policy's plan; a branch that it computes takes the block policy's plan
//   observe  the step policy is told that such a branch was computed, the block policy that a
//   branch which
//            the step policy reused did not run
//   payload  what the step policy reuses is also kept of evaluations in which blocks or stages were
//            reused (CacheNeeds::keeps_partial): else it would never be renewed
//   rebuild  that of both; where they differ, or something else is wanted, `rebuild` is the
//   predictor of
//            both
// Our own definition. Refused: step policies that look at features, which are not whole where
// stages are reused, or that decide inside a pass; block policies that leave out whole stacks.
#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "cache/policies/policy_factory.h"

namespace bw {
namespace {

constexpr std::string_view kForm =
    "a policy or a preset that is a name, with its parameters: NAME&key=value&key=value";

struct Part {
  const CachePolicyInfo* policy = nullptr;
  Json params;
};

// "easycache&threshold=0.1", "fora"
Part parse_part(const std::string& text, const Origin& origin) {
  const std::size_t end = text.find('&');
  const std::string name = text.substr(0, end);
  Part part;
  Json params = Json::object();
  const std::vector<NamedPreset> presets = named_presets();
  const auto preset = std::find_if(presets.begin(), presets.end(), [&](const NamedPreset& named) {
    return named.preset->name == name;
  });
  if (preset != presets.end()) {
    part.policy = preset->policy;
    params = preset_params(*part.policy, name, origin);
  } else {
    part.policy = &find_cache_policy(name, origin);
  }
  if (part.policy->name == "compose" || part.policy->name == "none") {
    reject(origin, name + " cannot be part of a composition");
  }
  std::string pairs = end == std::string::npos ? "" : text.substr(end + 1);
  std::replace(pairs.begin(), pairs.end(), '&', ',');
  params.update(parse_key_values(pairs, origin));
  part.params = part.policy->resolve(params, origin);
  return part;
}

struct ComposeParams final : Params {
  std::string step = "easycache";
  std::string block = "pab";
  std::string rebuild = "own";

  void visit(ParamVisitor& v) override {
    v.text({"step", "reuses predictions or stacks"}, step, kForm);
    v.text({"block", "reuses blocks or stages where `step` computes"}, block, kForm);
    v.text({"rebuild", "predictor of both; own: as the policies have it, if they agree"}, rebuild,
           std::string("own, ").append(Rebuild::kForm));
  }
  void check(const Origin& origin) const override {
    (void)parse_part(step, origin.at("step"));
    (void)parse_part(block, origin.at("block"));
    if (rebuild != "own") (void)Rebuild::parse(rebuild, origin.at("rebuild"));
  }
};

bool only(const CacheNeeds& needs, std::initializer_list<Site> sites) {
  return std::all_of(needs.sites.begin(), needs.sites.end(), [&](Site site) {
    return std::find(sites.begin(), sites.end(), site) != sites.end();
  });
}

std::string sites_text(const CacheNeeds& needs) {
  std::string text;
  for (const Site site : needs.sites)
    text += (text.empty() ? "" : ", ") + std::string(site_name(site));
  return text;
}

class ComposePolicy final : public CachePolicy {
 public:
  ComposePolicy(const ComposeParams& params, const Origin& origin, const RunShape& shape)
      : step_(make(params.step, origin.at("step"), shape)),
        block_(make(params.block, origin.at("block"), shape)) {
    check_step(params.step, origin.at("step"));
    check_block(params.block, origin.at("block"));
    const CacheNeeds& step = step_->needs();
    needs_ = block_->needs();
    needs_.sites.insert(needs_.sites.begin(), step.sites.begin(), step.sites.end());
    needs_.latents = needs_.latents || step.latents;
    needs_.rebuild = rebuild(params.rebuild, origin.at("rebuild"));
    needs_.keeps_partial = true;
  }

  const CacheNeeds& needs() const override { return needs_; }

  EvaluationPlan begin(const EvaluationContext& context) const override {
    EvaluationPlan plan = step_->begin(context);
    if (plan.reuse_guided) return plan;
    const EvaluationPlan inside = block_->begin(context);
    plan.measure = inside.measure;
    for (const Branch branch : kBranches) {
      BranchPlan& own = plan.branches[index_of(branch)];
      if (own.reuse == Site::kNone) own = inside.branches[index_of(branch)];
    }
    return plan;
  }

  void observe(const EvaluationContext& context, const Observation& observation) override {
    Observation whole = observation;
    Observation inside = observation;
    for (const Branch branch : kBranches) {
      const Site reused = observation.branches[index_of(branch)].done.reuse;
      if (step_->needs().has(reused) && reused != Site::kNone) {
        inside.branches[index_of(branch)] = {};
      } else {
        whole.branches[index_of(branch)].done = {};
      }
      whole.branches[index_of(branch)].distances.clear();
    }
    step_->observe(context, whole);
    block_->observe(context, inside);
  }

 private:
  static std::unique_ptr<CachePolicy> make(const std::string& text, const Origin& origin,
                                           const RunShape& shape) {
    const Part part = parse_part(text, origin);
    return part.policy->make(part.params, origin, shape);
  }

  void check_step(const std::string& text, const Origin& origin) const {
    const CacheNeeds& needs = step_->needs();
    if (!only(needs, {Site::kGuided, Site::kBranch, Site::kStack})) {
      reject(origin, text + " reuses at " + sites_text(needs) +
                         "; a step policy reuses at guided, branch or stack, such as easycache");
    }
    if (needs.signal.kind != SignalKind::kNone) {
      reject(origin, text +
                         " measures features of blocks, which are not whole where the block "
                         "policy reuses some; take one that does not, such as easycache");
    }
  }

  void check_block(const std::string& text, const Origin& origin) const {
    const CacheNeeds& needs = block_->needs();
    if (!only(needs, {Site::kBlock, Site::kStage, Site::kCfg})) {
      reject(origin, text + " reuses at " + sites_text(needs) +
                         "; a block policy reuses at block, stage or cfg, such as pab");
    }
  }

  // Stages and predictions have no input, so that a residual and an output are the same to them.
  Rebuild rebuild(const std::string& wanted, const Origin& origin) const {
    const Rebuild& step = step_->needs().rebuild;
    const Rebuild& block = block_->needs().rebuild;
    const bool fixed = !step.is_choice() || !block.is_choice();
    if (wanted != "own" && !fixed) return Rebuild::parse(wanted, origin);
    const bool agree = step.name() == block.name() ||
                       (only(block_->needs(), {Site::kStage, Site::kCfg}) &&
                        step.without_input().name() == block.without_input().name());
    if (wanted == "own" && agree) return step;
    std::string why = "the step policy rebuilds by ";
    why.append(step.name()).append(", the block policy by ").append(block.name());
    reject(origin, fixed ? why + ", which is part of the method: they cannot be composed"
                         : why + "; give one predictor for both");
  }

  std::unique_ptr<CachePolicy> step_;
  std::unique_ptr<CachePolicy> block_;
  CacheNeeds needs_;
};

}  // namespace

CachePolicyInfo compose_cache_policy() {
  return {.name = "compose",
          .summary = "a step policy, and a block policy where it computes",
          .provenance = Provenance::kExact,
          .params = describe_params(ComposeParams()),
          .presets = {{"easycache-pab", "EasyCache, with PAB at the steps it computes", "{}"},
                      {"static-foresight", "every third step, Foresight in those",
                       R"({"step": "static&every=3&site=stack", "block": "foresight",
                           "rebuild": "output"})"}},
          .uses_int8 =
              [](const Json& params) {
                const Part block =
                    parse_part(params.at("block").get<std::string>(), Origin::flag("--cache"));
                return block.policy->uses_int8 != nullptr && block.policy->uses_int8(block.params);
              },
          .resolve = resolve_policy_params<ComposeParams>,
          .make = make_policy<ComposePolicy, ComposeParams>};
}

}  // namespace bw
