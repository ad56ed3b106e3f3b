#include "cache/cache_report.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr char kComputed = 'c';
constexpr char kReused = 'r';
constexpr char kSkipped = 's';
constexpr char kInt8 = 'q';

const char* signal_name(SignalKind kind) {
  switch (kind) {
    case SignalKind::kNone:
      return "none";
    case SignalKind::kBlockOutput:
      return "block_output";
    case SignalKind::kAttentionInput:
      return "attention_input";
    case SignalKind::kBlockResidual:
      return "block_residual";
    case SignalKind::kStageResidual:
      return "stage_residual";
  }
  return "none";
}

const char* metric_name(SignalMetric metric) {
  switch (metric) {
    case SignalMetric::kRelativeL1:
      return "relative_l1";
    case SignalMetric::kMeanSquare:
      return "mean_square";
    case SignalMetric::kCosineDistance:
      return "cosine_distance";
  }
  return "relative_l1";
}

// Part of a block whose stages are reused, 0 … 1.
double reused_share(const std::vector<bool>& stages) {
  const auto reused = static_cast<double>(std::count(stages.begin(), stages.end(), true));
  return stages.empty() ? 0 : reused / static_cast<double>(stages.size());
}

// One letter per block.
std::string block_letters(const BranchPlan& done, std::size_t num_blocks) {
  const bool all = leaves_out_stack(done.reuse);
  std::string letters(num_blocks, all ? kReused : kComputed);
  for (std::size_t block = 0; block < num_blocks; ++block) {
    if (is_set(done.int8, block)) letters[block] = kInt8;
    if (is_set(done.skipped, block)) letters[block] = kSkipped;
    if (is_set(done.blocks, block)) letters[block] = kReused;
  }
  for (std::size_t block = 0; block < done.stages.size(); ++block) {
    if (is_all_reused(done.stages[block])) letters[block] = kReused;
  }
  return letters;
}

// One text per block, one letter per stage.
Json stage_letters(const BranchPlan& done) {
  Json texts = Json::array();
  for (const std::vector<bool>& stages : done.stages) {
    std::string letters;
    for (const bool reused : stages) letters += reused ? kReused : kComputed;
    texts.push_back(letters);
  }
  return texts;
}

// NaN and Inf have no JSON form; null stands for them.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json branch_to_json(const BranchRecord& branch, std::size_t num_blocks) {
  Json json = {{"reuse", site_name(branch.done.reuse)},
               {"blocks", block_letters(branch.done, num_blocks)},
               {"reason", branch.reason}};
  if (branch.done.reuse == Site::kStage) json["stages"] = stage_letters(branch.done);
  if (branch.done.weight != 0) json["weight"] = branch.done.weight;
  if (branch.done.cfg != CfgWeights()) {
    json["cfg_weights"] = {branch.done.cfg.low, branch.done.cfg.high};
  }
  if (branch.done.mean_of_branches) json["mean_of_branches"] = true;
  for (const ScaleShift& correction : branch.done.corrections) {
    json["corrections"].push_back({correction.scale, correction.shift});
  }
  if (branch.motion) json["motion"] = number_or_null(*branch.motion);
  for (const double error : branch.errors) json["errors"].push_back(number_or_null(error));
  if (branch.distances.empty()) return json;
  json["indicator"] = number_or_null(*mean_distance(branch.distances));
  json["distances"] = Json::array();
  for (const double distance : branch.distances) {
    json["distances"].push_back(number_or_null(distance));
  }
  json["gap"] = branch.gap;
  return json;
}

Json evaluation_to_json(const EvaluationRecord& evaluation) {
  const EvaluationContext& context = evaluation.context;
  Json json = {{"index", context.index},       {"step", context.step},   {"part", context.part},
               {"timestep", context.timestep}, {"sigma", context.sigma}, {"expert", context.expert},
               {"guided", context.guided}};
  if (context.latents) {
    json["latents"] = {{"change", number_or_null(context.latents->change)},
                       {"size", number_or_null(context.latents->size)}};
    if (context.latents->rate) json["latents"]["rate"] = number_or_null(*context.latents->rate);
  }
  if (!evaluation.guided_reason.empty()) {
    json["guided_reused"] = evaluation.guided_reused;
    if (evaluation.guided_weight != 0) json["guided_weight"] = evaluation.guided_weight;
    json["guided_reason"] = evaluation.guided_reason;
    if (evaluation.guided_error) json["guided_error"] = number_or_null(*evaluation.guided_error);
  }
  json["branches"] = Json::object();
  for (const BranchRecord& branch : evaluation.branches) {
    json["branches"][std::string(branch_name(branch.branch))] =
        branch_to_json(branch, evaluation.num_blocks);
  }
  return json;
}

Json work_to_json(const ModelWork& work) {
  return {{"rows", work.rows}, {"seconds", work.seconds}};
}

Json works_to_json(const ModelWorks& works) {
  Json blocks = Json::object();
  for (const auto& [kind, work] : works.blocks) blocks[kind] = work_to_json(work);
  return {
      {"embed", work_to_json(works.embed)}, {"blocks", blocks}, {"head", work_to_json(works.head)}};
}

Json totals_to_json(const CacheTotals& totals) {
  return {{"blocks", totals.blocks},
          {"blocks_computed", totals.blocks_computed},
          {"evaluations_reused", totals.evaluations_reused},
          {"branches_reused", totals.branches_reused},
          {"indicator_seconds", totals.indicator_seconds},
          {"rebuild_seconds", totals.rebuild_seconds},
          {"controller_seconds", totals.controller_seconds},
          {"model", works_to_json(totals.model)},
          {"declared_bytes", totals.declared_bytes},
          {"peak_bytes", totals.peak_bytes}};
}

Json shadow_to_json(const ShadowTotals& shadow) {
  return {{"values", shadow.values},
          {"mean_error", number_or_null(shadow.mean)},
          {"worst_error", number_or_null(shadow.worst)},
          {"seconds", shadow.seconds}};
}

Json signal_to_json(const SignalNeeds& signal) {
  Json json = {{"kind", signal_name(signal.kind)}};
  if (signal.kind == SignalKind::kNone) return json;
  json["metric"] = metric_name(signal.metric);
  json["blocks"] = signal.blocks;
  json["early"] = signal.early;
  return json;
}

}  // namespace

bool CacheReport::inert() const {
  return totals.blocks_computed == totals.blocks && totals.evaluations_reused == 0 &&
         totals.stages_reused == 0 && totals.blocks_int8 == 0;
}

double CacheReport::reused_fraction() const {
  if (totals.blocks == 0) return 0;
  auto computed = static_cast<double>(totals.blocks_computed);
  for (const EvaluationRecord& evaluation : evaluations) {
    for (const BranchRecord& branch : evaluation.branches) {
      for (const std::vector<bool>& stages : branch.done.stages) {
        if (!is_all_reused(stages)) computed -= reused_share(stages);
      }
    }
  }
  return 1.0 - computed / static_cast<double>(totals.blocks);
}

std::optional<double> CacheReport::indicator_quantile(double q) const {
  std::vector<double> means;
  for (const EvaluationRecord& evaluation : evaluations) {
    for (const BranchRecord& branch : evaluation.branches) {
      const std::optional<double> mean = mean_distance(branch.distances);
      if (mean && std::isfinite(*mean)) means.push_back(*mean);
    }
  }
  if (means.empty()) return std::nullopt;
  std::sort(means.begin(), means.end());
  const double rank = std::ceil(q * static_cast<double>(means.size())) - 1;
  return means[static_cast<std::size_t>(
      std::clamp(rank, 0.0, static_cast<double>(means.size() - 1)))];
}

ShadowTotals shadow_totals(const CacheReport& report, double seconds) {
  ShadowTotals totals{.seconds = seconds};
  double sum = 0;
  const auto add = [&](double error) {
    ++totals.values;
    sum += error;
    if (error > totals.worst) totals.worst = error;
  };
  for (const EvaluationRecord& evaluation : report.evaluations) {
    if (evaluation.guided_error) add(*evaluation.guided_error);
    for (const BranchRecord& branch : evaluation.branches) {
      for (const double error : branch.errors) add(error);
    }
  }
  if (totals.values > 0) totals.mean = sum / static_cast<double>(totals.values);
  return totals;
}

void without_errors(CacheReport& report) {
  report.shadow.reset();
  for (EvaluationRecord& evaluation : report.evaluations) {
    evaluation.guided_error.reset();
    for (BranchRecord& branch : evaluation.branches) branch.errors.clear();
  }
}

Json to_json(const CacheReport& report) {
  Json json = {{"sites", Json::array()},
               {"rebuild", report.rebuild},
               {"signal", signal_to_json(report.signal)},
               {"totals", totals_to_json(report.totals)}};
  for (const Site site : report.sites) json["sites"].push_back(site_name(site));
  json["totals"]["reused_fraction"] = report.reused_fraction();
  if (report.totals.blocks_int8 > 0) json["totals"]["blocks_int8"] = report.totals.blocks_int8;
  if (report.totals.stages_reused > 0)
    json["totals"]["stages_reused"] = report.totals.stages_reused;
  if (report.indicator_quantile(0)) {
    Json& quantiles = json["quantiles"] = Json::object();
    for (const double q : {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0}) {
      quantiles[Json(q).dump()] = *report.indicator_quantile(q);
    }
  }
  if (report.keeps_partial) json["keeps_partial"] = true;
  if (report.shadow) json["shadow"] = shadow_to_json(*report.shadow);
  json["evaluations"] = Json::array();
  for (const EvaluationRecord& evaluation : report.evaluations) {
    json["evaluations"].push_back(evaluation_to_json(evaluation));
  }
  return json;
}

}  // namespace bw
