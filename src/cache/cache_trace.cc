#include "cache/cache_trace.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bw {
namespace {

constexpr std::array kSites = {Site::kNone,  Site::kGuided, Site::kBranch, Site::kCfg,
                               Site::kStack, Site::kMiddle, Site::kBlock,  Site::kStage};

Site parse_site(const std::string& name, const Origin& origin) {
  std::vector<std::string> known;
  for (const Site site : kSites) {
    if (name == site_name(site)) return site;
    known.emplace_back(site_name(site));
  }
  reject(origin, "'" + name + "' is no site of reuse" + known_names_hint(name, known));
}

const Json& require_kind(const Json& json, bool is_expected, const char* expected,
                         const Origin& origin) {
  if (!is_expected) {
    reject(origin, std::string("must be ") + expected + ", got " + json_type_name(json));
  }
  return json;
}

// c = computed, r = reused.
std::vector<bool> parse_letters(const std::string& letters, const std::string& count,
                                const Origin& origin) {
  if (letters.find_first_not_of("cr") != std::string::npos ||
      (!count.empty() && count != std::to_string(letters.size()))) {
    reject(origin, "must be " + count + (count.empty() ? "" : " ") +
                       "letters c (computed) or r (reused), got '" + letters + "'");
  }
  std::vector<bool> reused;
  for (const char letter : letters) reused.push_back(letter == 'r');
  return reused;
}

// One text per block.
std::vector<std::vector<bool>> parse_stages(const Json& json, std::size_t num_blocks,
                                            const Origin& origin) {
  const bool is_list = json.is_array() && json.size() == num_blocks;
  if (!is_list) reject(origin, "must be a list of " + std::to_string(num_blocks) + " texts");
  std::vector<std::vector<bool>> stages;
  for (const Json& letters : json) {
    require_kind(letters, letters.is_string(), "a list of texts", origin);
    stages.push_back(parse_letters(letters.get<std::string>(), "", origin));
  }
  return stages;
}

// The stages of a branch that reuses some, and that its blocks agree with them.
BranchPlan parse_staged_branch(JsonObject& object, const std::vector<bool>& blocks) {
  BranchPlan plan{.reuse = Site::kStage};
  plan.stages = parse_stages(object.require("stages"), blocks.size(), object.at("stages"));
  bool any = false;
  for (std::size_t block = 0; block < blocks.size(); ++block) {
    const std::vector<bool>& stages = plan.stages[block];
    any = any || std::find(stages.begin(), stages.end(), true) != stages.end();
    if (is_all_reused(stages) != blocks[block]) {
      reject(object.at("stages"), "contradicts 'blocks' at block " + std::to_string(block));
    }
  }
  if (!any) reject(object.at("stages"), "reuses nothing, which contradicts reuse 'stage'");
  return plan;
}

bool is_pair(const Json& json) {
  return json.is_array() && json.size() == 2 && json[0].is_number() && json[1].is_number();
}

// How a branch's reused value is made, where that is not the same at every evaluation.
void parse_numbers(JsonObject& object, BranchPlan& plan) {
  if (object.has("weight")) plan.weight = object.number("weight");
  plan.mean_of_branches = object.has("mean_of_branches") && object.boolean("mean_of_branches");
  if (!object.has("cfg_weights")) return;
  const Json& weights = object.require("cfg_weights");
  if (!is_pair(weights)) reject(object.at("cfg_weights"), "must be two numbers");
  plan.cfg = {weights[0].get<double>(), weights[1].get<double>()};
}

// Of Site::kBlock: takes s (skipped) and q (int8) out of the letters, leaving c.
void take_special_blocks(std::string& letters, BranchPlan& plan) {
  const auto take = [&](char kind) {
    std::vector<bool> found;
    if (letters.find(kind) == std::string::npos) return found;
    for (char& letter : letters) {
      found.push_back(letter == kind);
      if (letter == kind) letter = 'c';
    }
    return found;
  };
  plan.skipped = take('s');
  plan.int8 = take('q');
}

// One pair per block.
std::vector<ScaleShift> parse_corrections(JsonObject& object, std::size_t num_blocks) {
  std::vector<ScaleShift> corrections;
  if (!object.has("corrections")) return corrections;
  const Json& pairs = object.require("corrections");
  const bool is_list = pairs.is_array() && pairs.size() == num_blocks &&
                       std::all_of(pairs.begin(), pairs.end(), is_pair);
  if (!is_list) {
    reject(object.at("corrections"),
           "must be a list of " + std::to_string(num_blocks) + " pairs of numbers");
  }
  for (const Json& pair : pairs) {
    corrections.push_back({pair[0].get<double>(), pair[1].get<double>()});
  }
  return corrections;
}

// Some blocks, all next to each other.
bool is_middle(const std::vector<bool>& blocks) {
  const auto begin = std::find(blocks.begin(), blocks.end(), true);
  const auto end = std::find(begin, blocks.end(), false);
  return begin != blocks.end() && std::find(end, blocks.end(), true) == blocks.end();
}

BranchPlan parse_branch(const Json& json, std::size_t num_blocks, const Origin& origin) {
  JsonObject object(json, origin);
  BranchPlan plan{.reuse = parse_site(object.text("reuse"), object.at("reuse"))};
  std::string letters = object.text("blocks");
  if (plan.reuse == Site::kBlock) take_special_blocks(letters, plan);
  std::vector<bool> blocks =
      parse_letters(letters, std::to_string(num_blocks), object.at("blocks"));
  if (plan.reuse == Site::kStage) plan = parse_staged_branch(object, blocks);
  parse_numbers(object, plan);
  if (plan.reuse == Site::kStage) return plan;
  const auto reused = static_cast<std::size_t>(std::count(blocks.begin(), blocks.end(), true));
  const bool is_whole = leaves_out_stack(plan.reuse);
  const bool is_special = !plan.skipped.empty() || !plan.int8.empty();
  const bool agrees = plan.reuse == Site::kBlock    ? reused > 0 || is_special
                      : plan.reuse == Site::kMiddle ? is_middle(blocks)
                                                    : reused == (is_whole ? num_blocks : 0);
  if (plan.reuse == Site::kGuided || !agrees) {
    reject(object.at("blocks"),
           "'" + letters + "' contradicts reuse '" + site_name(plan.reuse) + "'");
  }
  if (plan.reuse == Site::kBlock) plan.corrections = parse_corrections(object, num_blocks);
  if (plan.reuse == Site::kBlock || plan.reuse == Site::kMiddle) plan.blocks = std::move(blocks);
  return plan;
}

// Both branches have the same blocks, those of the expert.
std::size_t count_blocks(const Json& branches, const Origin& origin) {
  if (branches.empty()) return 0;
  JsonObject first(branches.begin().value(), origin.at(branches.begin().key()));
  return first.text("blocks").size();
}

CacheTrace::Step parse_evaluation(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  CacheTrace::Step step;
  step.context.index = object.integer("index");
  step.context.step = object.integer("step");
  step.context.part = static_cast<int>(object.integer("part"));
  const std::int64_t expert = object.integer("expert");
  if (expert < 0) reject(object.at("expert"), "must be at least 0, got " + std::to_string(expert));
  step.context.expert = static_cast<std::size_t>(expert);
  step.context.guided = object.boolean("guided");
  step.guided_reused = object.has("guided_reused") && object.boolean("guided_reused");
  if (object.has("guided_weight")) step.guided_weight = object.number("guided_weight");
  const Json& branches = object.require("branches");
  const Origin at = object.at("branches");
  require_kind(branches, branches.is_object(), "an object", at);
  step.num_blocks = count_blocks(branches, at);
  JsonObject by_name(branches, at);
  for (const Branch branch : kBranches) {
    const std::string name(branch_name(branch));
    const bool runs = !step.guided_reused && (branch == Branch::kCond || step.context.guided);
    if (runs != by_name.has(name)) {
      reject(at, "the branch '" + name + (runs ? "' is missing" : "' cannot take part here"));
    }
    if (!runs) continue;
    BranchPlan& plan = step.branches[index_of(branch)];
    plan = parse_branch(by_name.require(name), step.num_blocks, by_name.at(name));
    if (plan.reuse == Site::kCfg && branch == Branch::kCond) {
      reject(by_name.at(name), "'cfg' stands for the unconditional branch alone");
    }
  }
  by_name.finish();
  return step;
}

}  // namespace

Origin evaluation_origin(const Origin& trace, std::size_t i) {
  std::string key = "[";
  key.append(std::to_string(i)).append("]");
  return trace.at("evaluations").at(key);
}

CacheTrace trace_of(const CacheReport& report) {
  CacheTrace trace{report.sites, report.rebuild, report.keeps_partial, {}};
  for (const EvaluationRecord& evaluation : report.evaluations) {
    CacheTrace::Step step{evaluation.context,
                          evaluation.guided_reused ? 0 : evaluation.num_blocks,
                          evaluation.guided_reused,
                          evaluation.guided_weight,
                          {}};
    for (const BranchRecord& branch : evaluation.branches) {
      step.branches[index_of(branch.branch)] = branch.done;
    }
    trace.evaluations.push_back(std::move(step));
  }
  return trace;
}

bool uses_int8(const CacheTrace& trace) {
  return std::any_of(trace.evaluations.begin(), trace.evaluations.end(), [](const auto& step) {
    return std::any_of(step.branches.begin(), step.branches.end(),
                       [](const BranchPlan& plan) { return int8_blocks(plan) > 0; });
  });
}

CacheTrace trace_from_json(const Json& cache, const Origin& origin) {
  JsonObject object(cache, origin);
  CacheTrace trace;
  const Json& sites = object.require("sites");
  require_kind(sites, sites.is_array(), "a list", object.at("sites"));
  for (const Json& site : sites) {
    require_kind(site, site.is_string(), "a list of texts", object.at("sites"));
    trace.sites.push_back(parse_site(site.get<std::string>(), object.at("sites")));
  }
  trace.rebuild = object.text("rebuild");
  (void)Rebuild::from_name(trace.rebuild, object.at("rebuild"));
  trace.keeps_partial = object.has("keeps_partial") && object.boolean("keeps_partial");
  const Json& evaluations = object.require("evaluations");
  const Origin at = object.at("evaluations");
  require_kind(evaluations, evaluations.is_array(), "a list", at);
  for (std::size_t i = 0; i < evaluations.size(); ++i) {
    trace.evaluations.push_back(parse_evaluation(evaluations[i], evaluation_origin(origin, i)));
  }
  return trace;
}

}  // namespace bw
