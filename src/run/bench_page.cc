// The page of a bench.
#include <algorithm>

#include "base/files.h"
#include "page/document.h"
#include "page/html.h"
#include "page/pareto.h"
#include "page/stage_times.h"
#include "page/tables.h"
#include "quality/metric.h"
#include "run/page_parts.h"

namespace bw {
namespace {

struct Spread {
  double median = 0, lowest = 0, highest = 0;  // seconds
};

struct Arm {
  std::string name;
  std::string policy;
  Spread denoise, total;
  double cache_seconds = 0;
  double denoise_speedup = 1, total_speedup = 1;
  double computed_fraction = 1;
  std::uint64_t cache_bytes = 0;
  Json quality;  // name -> number
};

Spread read_spread(JsonObject& seconds, const std::string& stage) {
  JsonObject spread(seconds.require(stage), seconds.at(stage));
  if (const double median = spread.number("median"); median < 0)
    reject(spread.at("median"), "must be at least 0, got " + Json(median).dump());
  return {spread.number("median"), spread.number("lowest"), spread.number("highest")};
}

Arm read_arm(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  Arm arm;
  arm.name = object.text("name");
  JsonObject plan(object.require("plan"), object.at("plan"));
  arm.policy = JsonObject(plan.require("cache"), plan.at("cache")).text("policy");
  JsonObject seconds(object.require("seconds"), object.at("seconds"));
  arm.denoise = read_spread(seconds, "denoise");
  arm.total = read_spread(seconds, "total");
  for (const char* stage : {"indicator", "rebuild", "controller"})
    arm.cache_seconds += read_spread(seconds, stage).median;
  JsonObject speedup(object.require("speedup"), object.at("speedup"));
  arm.denoise_speedup = speedup.number("denoise");
  arm.total_speedup = speedup.number("total");
  arm.computed_fraction = object.number("computed_fraction");
  arm.cache_bytes = static_cast<std::uint64_t>(object.integer("cache_bytes"));
  arm.quality = object.require("quality");
  JsonObject quality(arm.quality, object.at("quality"));
  for (const auto& [name, value] : arm.quality.items()) (void)quality.number(name);
  return arm;
}

std::vector<Arm> read_arms(JsonObject& bench) {
  const Json& json = bench.require("arms");
  if (!json.is_array() || json.empty()) reject(bench.at("arms"), "must be a list of at least one");
  std::vector<Arm> arms;
  for (std::size_t i = 0; i < json.size(); ++i)
    arms.push_back(read_arm(json[i], bench.at("arms").at(index_key(i))));
  return arms;
}

std::string spread_text(const Spread& spread) {
  return seconds_text(spread.median) + " (" + number_text(spread.lowest) + " to " +
         number_text(spread.highest) + ")";
}

// The means of metrics that some arm has, in the table's order, with and without "_reference".
std::vector<std::string> quality_columns(const std::vector<Arm>& arms) {
  std::vector<std::string> columns;
  for (const char* suffix : {"", "_reference"}) {
    for (const MetricInfo& metric : metrics()) {
      const std::string name = std::string(metric.name) + suffix;
      const auto has = [&](const Arm& arm) { return arm.quality.contains(name); };
      if (std::ranges::any_of(arms, has)) columns.push_back(name);
    }
  }
  return columns;
}

// As in the plots.
std::string numbered(std::size_t i, const std::string& name) {
  std::string text = std::to_string(i + 1);
  return text.append(": ").append(name);
}

Table arms_table(const std::vector<Arm>& arms) {
  const std::vector<std::string> columns = quality_columns(arms);
  Table table{{"plan", "denoising (lowest to highest)", "speed-up", "whole run", "speed-up",
               "computed", "the cache's own time", "cache memory"},
              {}};
  for (const std::string& column : columns) {
    const std::size_t suffix = column.find("_reference");
    table.heading.push_back(
        suffix == std::string::npos ? column : column.substr(0, suffix) + " to the reference");
  }
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const Arm& arm = arms[i];
    std::vector<std::string> row = {numbered(i, arm.name),
                                    spread_text(arm.denoise),
                                    number_text(arm.denoise_speedup) + "x",
                                    seconds_text(arm.total.median),
                                    number_text(arm.total_speedup) + "x",
                                    percent_text(arm.computed_fraction),
                                    seconds_text(arm.cache_seconds),
                                    format_bytes(arm.cache_bytes)};
    for (const std::string& column : columns) {
      row.push_back(arm.quality.contains(column) ? number_text(arm.quality.at(column).get<double>())
                                                 : "");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string plots(const std::vector<Arm>& arms, const std::string& suffix) {
  std::string figures;
  for (const MetricInfo& metric : metrics()) {
    ParetoPlot plot{
        std::string(metric.name), std::string(metric.unit), direction_of(metric), {}, {}, {}};
    for (std::size_t i = 0; i < arms.size(); ++i) {
      const auto value = arms[i].quality.find(plot.metric + suffix);
      if (value == arms[i].quality.end()) continue;
      ParetoPoint point{arms[i].name, arms[i].policy, arms[i].denoise_speedup,
                        value->get<double>()};
      point.number = i + 1;
      plot.points.push_back(std::move(point));
    }
    if (plot.points.empty()) continue;
    mark_front(plot, metric);
    figures += pareto_figure(plot);
  }
  return figures;
}

void add_plots(Document& page, const std::vector<Arm>& arms) {
  const std::string how =
      " Up and right is better; the numbers are those of the table. Point at a dot for its values.";
  if (const std::string figures = plots(arms, ""); !figures.empty()) {
    page.section("Speed against quality",
                 "Quality is measured from the first plan, which is therefore not drawn." + how,
                 figures);
  }
  if (const std::string figures = plots(arms, "_reference"); !figures.empty()) {
    page.section("Speed against quality, to the reference",
                 "Quality is measured from the reference, which is not timed." + how, figures);
  }
}

}  // namespace

Page bench_page(const PageSource& source) {
  const Origin origin = Origin::file(source.file.string() + ": ");
  JsonObject bench(source.result, origin);
  const std::vector<Arm> arms = read_arms(bench);
  const Json& prompts = bench.require("prompts");
  const std::int64_t repeat = bench.integer("repeat");
  const Json& environment = bench.require("environment");
  Document page(
      std::to_string(arms.size()) + (arms.size() == 1 ? " plan, timed" : " plans, timed in turn"),
      "bench");
  page.facts({{std::to_string(arms.size()), "plans"},
              {std::to_string(prompts.size()), "prompts"},
              {std::to_string(repeat), "runs of each"},
              {seconds_text(arms.front().denoise.median), "denoising, first plan"}});
  page.section("The plans",
               "Medians of the runs. Speed-up is the first plan's median over this one's; quality "
               "is that of the raw frames against the first plan.",
               table_markup(arms_table(arms)));
  std::vector<StageTime> times;
  for (std::size_t i = 0; i < arms.size(); ++i)
    times.push_back({numbered(i, arms[i].name), arms[i].denoise.median});
  page.section("Time to denoise", "Medians; shorter is faster.", stage_times_figure(times));
  add_plots(page, arms);
  Json setup = {{"prompts", prompts},
                {"environment", environment},
                {"bundle", bench.require("bundle")},
                {"repeat", repeat},
                {"warmup", bench.integer("warmup")}};
  page.section("How it was measured",
               "Every plan ran once per round, in turn, on one loaded model; rounds of the warm-up "
               "are not counted.",
               table_markup(value_table(setup, Json::object())));
  return {page.finish(), {}};
}

}  // namespace bw
