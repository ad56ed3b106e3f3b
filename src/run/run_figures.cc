#include "run/run_figures.h"

#include <algorithm>
#include <array>
#include <map>

#include "cache/cache_trace.h"

namespace bw {
namespace {

double seconds_of(JsonObject& object, const std::string& key) {
  const double value = object.number(key);
  if (value < 0) reject(object.at(key), "must be at least 0, got " + Json(value).dump());
  return value;
}

std::uint64_t bytes_of(JsonObject& object, const std::string& key) {
  const std::int64_t value = object.integer(key);
  if (value < 0) reject(object.at(key), "must be at least 0, got " + std::to_string(value));
  return static_cast<std::uint64_t>(value);
}

// The blocks of every expert; an evaluation whose guided prediction was reused does not tell.
std::map<std::size_t, std::size_t> blocks_per_expert(const CacheTrace& trace) {
  std::map<std::size_t, std::size_t> blocks;
  for (const CacheTrace::Step& step : trace.evaluations) {
    std::size_t& known = blocks[step.context.expert];
    known = std::max(known, step.num_blocks);
  }
  return blocks;
}

std::vector<MapCell> cells_of(const BranchPlan& done, std::size_t num_blocks) {
  const bool all = leaves_out_stack(done.reuse);
  std::vector<MapCell> cells(num_blocks, MapCell{all, {}});
  for (std::size_t block = 0; block < done.blocks.size(); ++block)
    cells[block].reused = leaves_out(done, block);
  for (std::size_t block = 0; block < done.stages.size(); ++block) {
    const std::vector<bool>& stages = done.stages[block];
    cells[block].reused = is_all_reused(stages);
    const bool any = std::ranges::find(stages, true) != stages.end();
    if (any && !cells[block].reused) cells[block].stages_reused = stages;
  }
  return cells;
}

std::string describe(const BranchPlan& done) {
  switch (done.reuse) {
    case Site::kBranch:
      return "the branch's prediction reused";
    case Site::kCfg:
      return "made from the conditional prediction";
    case Site::kStack:
      return "the whole stack of blocks reused";
    case Site::kMiddle:
    case Site::kBlock:
      return std::to_string(std::ranges::count(done.blocks, true)) + " of " +
             std::to_string(done.blocks.size()) + " blocks reused";
    case Site::kStage: {
      std::int64_t reused = 0;
      for (const std::vector<bool>& stages : done.stages)
        reused += std::ranges::count(stages, true);
      return std::to_string(reused) + " stages of blocks reused";
    }
    default:
      return "computed";
  }
}

// The reason as words; "policy" had its way, all others made it compute.
void set_reason(MapColumn& column, const std::string& reason) {
  column.overruled = reason != "policy";
  column.reason = column.overruled ? "overruled: " + reason : "policy";
}

// A run's cache, evaluation by evaluation: the trace has the decisions, the JSON the rest.
class CacheFigures {
 public:
  CacheFigures(RunFigures& figures, const Json& cache, const Origin& origin)
      : figures_(figures),
        json_(cache),
        origin_(origin),
        trace_(trace_from_json(cache, origin)),
        blocks_(blocks_per_expert(trace_)) {}

  void fill() {
    check_steps();
    figures_.reused.assign(static_cast<std::size_t>(figures_.num_steps), true);
    for (const Branch branch : kBranches) {
      if (!takes_part(branch)) continue;
      StepMap map{branch == Branch::kCond ? "conditional branch" : "unconditional branch", {}};
      IndicatorSeries series{map.branch, {}};
      for (std::size_t i = 0; i < trace_.evaluations.size(); ++i) {
        map.columns.push_back(column_of(i, branch));
        add_indicator(series, i, branch);
        for (const MapCell& cell : map.columns.back().cells) {
          if (!cell.reused)
            figures_.reused[static_cast<std::size_t>(map.columns.back().step)] = false;
        }
      }
      figures_.maps.push_back(std::move(map));
      if (!series.points.empty()) figures_.indicator.series.push_back(std::move(series));
    }
    figures_.indicator.reused = figures_.reused;
  }

 private:
  void check_steps() const {
    std::vector<bool> seen(static_cast<std::size_t>(figures_.num_steps), false);
    for (std::size_t i = 0; i < trace_.evaluations.size(); ++i) {
      const std::int64_t step = trace_.evaluations[i].context.step;
      if (step < 0 || step >= figures_.num_steps) {
        reject(evaluation_origin(origin_, i).at("step"),
               std::to_string(step) + " is not below the plan's " +
                   std::to_string(figures_.num_steps) + " steps");
      }
      seen[static_cast<std::size_t>(step)] = true;
    }
    const auto missing = std::ranges::find(seen, false);
    if (missing != seen.end()) {
      reject(origin_.at("evaluations"),
             "step " + std::to_string(missing - seen.begin()) + " is missing");
    }
  }

  [[nodiscard]] bool takes_part(Branch branch) const {
    return branch == Branch::kCond || std::ranges::any_of(trace_.evaluations, [](const auto& step) {
             return step.context.guided;
           });
  }

  [[nodiscard]] JsonObject branch_json(std::size_t i, Branch branch, const Origin& at) const {
    const std::string name(branch_name(branch));
    return {json_.at("evaluations")[i].at("branches").at(name), at.at("branches").at(name)};
  }

  [[nodiscard]] MapColumn column_of(std::size_t i, Branch branch) const {
    const CacheTrace::Step& step = trace_.evaluations[i];
    MapColumn column{step.context.step, step.context.part, "took no part", "", false, {}};
    const Origin at = evaluation_origin(origin_, i);
    if (branch == Branch::kUncond && !step.context.guided) return column;
    if (step.guided_reused) {
      column.what = "the guided prediction reused";
      column.cells.assign(blocks_.at(step.context.expert), MapCell{true, {}});
      set_reason(column, JsonObject(json_.at("evaluations")[i], at).text("guided_reason"));
      return column;
    }
    const BranchPlan& done = step.branches[index_of(branch)];
    column.what = describe(done);
    column.cells = cells_of(done, step.num_blocks);
    set_reason(column, branch_json(i, branch, at).text("reason"));
    return column;
  }

  void add_indicator(IndicatorSeries& series, std::size_t i, Branch branch) const {
    const CacheTrace::Step& step = trace_.evaluations[i];
    if (step.guided_reused || (branch == Branch::kUncond && !step.context.guided)) return;
    JsonObject object = branch_json(i, branch, evaluation_origin(origin_, i));
    const Json* value = object.find("indicator");
    if (value == nullptr) return;
    IndicatorPoint point{step.context.step, std::nullopt, object.integer("gap")};
    if (!value->is_null()) point.value = object.number("indicator");
    series.points.push_back(point);
  }

  RunFigures& figures_;
  const Json& json_;
  const Origin& origin_;
  CacheTrace trace_;
  std::map<std::size_t, std::size_t> blocks_;
};

// Sources are kept by option; the page names values as the plan does.
Json sources_by_value(const Json& sources) {
  constexpr std::array<std::array<const char*, 2>, 11> kValues = {
      {{"guidance.scale", "guidance_scale"},
       {"guidance.rescale", "guidance_rescale"},
       {"guidance.start", "guidance_start"},
       {"guidance.end", "guidance_end"},
       {"guidance.batched", "guidance_batching"},
       {"cache.policy", "cache"},
       {"output.video", "output"},
       {"output.codec", "codec"},
       {"output.encoder_preset", "encoder_preset"},
       {"output.report", "report"},
       {"output.page", "report"}}};
  Json by_value = sources;
  for (const auto& [value, option] : kValues) {
    if (sources.contains(option)) by_value[value] = sources.at(option);
  }
  return by_value;
}

void read_plan(RunFigures& figures, const Json& json, const Origin& origin) {
  JsonObject plan(json, origin);
  figures.plan = json;
  figures.prompt = plan.text("prompt");
  figures.seed = plan.integer("seed");
  figures.num_steps = plan.integer("steps");
  constexpr std::int64_t kMostSteps = 10000;  // as --steps
  if (figures.num_steps < 1 || figures.num_steps > kMostSteps) {
    reject(plan.at("steps"), "must be 1 to " + std::to_string(kMostSteps) + ", got " +
                                 std::to_string(figures.num_steps));
  }
  JsonObject cache(plan.require("cache"), plan.at("cache"));
  figures.policy = cache.text("policy");
  JsonObject params(cache.require("params"), cache.at("params"));
  if (params.has("threshold")) figures.indicator.threshold = params.number("threshold");
}

RunMeasurements read_measurements(JsonObject& report) {
  RunMeasurements measured;
  JsonObject timings(report.require("timings"), report.at("timings"));
  JsonObject cache(report.require("cache"), report.at("cache"));
  JsonObject totals(cache.require("totals"), cache.at("totals"));
  measured.denoise = seconds_of(timings, "denoise");
  measured.stages = {{"loading the model", seconds_of(timings, "load")},
                     {"text encoding", seconds_of(timings, "text")},
                     {"denoising", measured.denoise},
                     {"measuring (cache)", seconds_of(totals, "indicator_seconds"), true},
                     {"keeping, rebuilding (cache)", seconds_of(totals, "rebuild_seconds"), true},
                     {"deciding (cache)", seconds_of(totals, "controller_seconds"), true},
                     {"scheduler", seconds_of(timings, "scheduler"), true},
                     {"decoding", seconds_of(timings, "decode")},
                     {"encoding, after decoding", seconds_of(timings, "encode")}};
  const Json& steps = timings.require("steps");
  if (!steps.is_array())
    reject(timings.at("steps"), "must be a list, got " + json_type_name(steps));
  for (const Json& step : steps) {
    if (!step.is_number() || step.get<double>() < 0)
      reject(timings.at("steps"), "must hold seconds, got " + step.dump());
    measured.steps.push_back(step.get<double>());
  }
  JsonObject memory(report.require("memory"), report.at("memory"));
  measured.peak_memory_bytes = bytes_of(memory, "peak_bytes");
  measured.cache_bytes = bytes_of(totals, "peak_bytes");
  return measured;
}

}  // namespace

RunFigures read_run_figures(const Json& result, const std::filesystem::path& file) {
  const Origin origin = Origin::file(file.string() + ": ");
  RunFigures figures;
  figures.name = file.filename().string();
  figures.sources = figures.environment = Json::object();
  JsonObject report(result, origin);
  read_plan(figures, report.require("plan"), report.at("plan"));
  figures.bundle = report.require("bundle");
  (void)JsonObject(figures.bundle, report.at("bundle")).text("sha256");
  CacheFigures(figures, report.require("cache"), report.at("cache")).fill();
  if (report.text("kind") == "bwcache-gen video") {
    figures.video = file;
    return figures;
  }
  for (const char* key : {"sources", "environment"})
    (void)JsonObject(report.require(key), report.at(key));  // must be objects
  figures.sources = sources_by_value(report.require("sources"));
  figures.environment = report.require("environment");
  figures.measured = read_measurements(report);
  if (static_cast<std::int64_t>(figures.measured->steps.size()) != figures.num_steps) {
    reject(report.at("timings").at("steps"),
           "holds " + std::to_string(figures.measured->steps.size()) + " times, the plan has " +
               std::to_string(figures.num_steps) + " steps");
  }
  JsonObject output(report.require("output"), report.at("output"));
  figures.video = output.text("path");
  figures.video_bytes = bytes_of(output, "bytes");
  return figures;
}

double reused_share(const std::vector<StepMap>& maps) {
  double reused = 0, blocks = 0;
  for (const StepMap& map : maps) {
    for (const MapColumn& column : map.columns) {
      blocks += static_cast<double>(column.cells.size());
      for (const MapCell& cell : column.cells) {
        if (cell.reused) {
          reused += 1;
        } else if (!cell.stages_reused.empty()) {
          reused += static_cast<double>(std::ranges::count(cell.stages_reused, true)) /
                    static_cast<double>(cell.stages_reused.size());
        }
      }
    }
  }
  return blocks == 0 ? 0 : reused / blocks;
}

}  // namespace bw
