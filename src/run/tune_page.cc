// The page of a tuning (run/tune.h).
#include <algorithm>
#include <map>

#include "page/document.h"
#include "page/html.h"
#include "page/pareto.h"
#include "page/tables.h"
#include "quality/metric.h"
#include "run/page_parts.h"

namespace bw {
namespace {

struct TunedPoint {
  ParetoPoint point;  // all but the quality
  double computed_fraction = 1;
  std::map<std::string, double> quality;
};

struct Target {
  std::optional<double> speedup;
  std::map<std::string, double> quality;  // by metric
};

std::map<std::string, double> read_quality(JsonObject& object) {
  std::map<std::string, double> quality;
  const Json& json = object.require("quality");
  JsonObject values(json, object.at("quality"));
  for (const auto& [name, value] : json.items()) quality[name] = values.number(name);
  return quality;
}

TunedPoint read_point(const Json& json, const Origin& origin) {
  JsonObject object(json, origin);
  TunedPoint tuned;
  tuned.point.label = object.text("label");
  tuned.point.series = "setting";
  tuned.point.speedup = object.number("speedup");
  tuned.point.front = object.boolean("front");
  tuned.point.measured = object.boolean("measured");
  tuned.point.chosen = object.boolean("chosen");
  tuned.computed_fraction = object.number("computed_fraction");
  tuned.quality = read_quality(object);
  return tuned;
}

Target read_target(JsonObject& tune) {
  const Json& json = tune.require("target");
  JsonObject object(json, tune.at("target"));
  Target target;
  for (const auto& [key, value] : json.items()) {
    const double number = object.number(key);
    if (key == "speedup") {
      target.speedup = number;
    } else {
      target.quality[key] = number;
    }
  }
  return target;
}

std::string target_text(const Json& target) {
  std::string text;
  for (const auto& [key, value] : target.items())
    text += (text.empty() ? "" : ", ") + key + " " + value.dump();
  return text;
}

// The metrics that some point has, those of this program first in its own order.
std::vector<std::string> metric_names(const std::vector<TunedPoint>& points) {
  std::vector<std::string> names;
  for (const MetricInfo& metric : metrics()) names.emplace_back(metric.name);
  for (const TunedPoint& tuned : points) {
    for (const auto& [name, value] : tuned.quality) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  std::erase_if(names, [&](const std::string& name) {
    return std::ranges::none_of(
        points, [&](const TunedPoint& tuned) { return tuned.quality.contains(name); });
  });
  return names;
}

Table points_table(const std::vector<TunedPoint>& points) {
  const std::vector<std::string> names = metric_names(points);
  Table table{{"setting", "speed-up", "computed"}, {}};
  table.heading.insert(table.heading.end(), names.begin(), names.end());
  table.heading.insert(table.heading.end(), {"how", "on the front", "chosen"});
  for (std::size_t i = 0; i < points.size(); ++i) {
    const TunedPoint& tuned = points[i];
    std::vector<std::string> row = {std::to_string(i + 1) + ": " + tuned.point.label,
                                    number_text(tuned.point.speedup) + "x",
                                    percent_text(tuned.computed_fraction)};
    for (const std::string& name : names) {
      const auto value = tuned.quality.find(name);
      row.push_back(value == tuned.quality.end() ? "" : number_text(value->second));
    }
    row.emplace_back(tuned.point.measured ? "measured" : "predicted");
    row.emplace_back(tuned.point.front ? "yes" : "");
    row.emplace_back(tuned.point.chosen ? "yes" : "");
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string plots(const std::vector<TunedPoint>& points, const Target& target) {
  std::string figures;
  for (const MetricInfo& metric : metrics()) {
    ParetoPlot plot{std::string(metric.name), std::string(metric.unit),
                    direction_of(metric),     {},
                    target.speedup,           {}};
    if (const auto least = target.quality.find(plot.metric); least != target.quality.end())
      plot.target_quality = least->second;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto value = points[i].quality.find(plot.metric);
      if (value == points[i].quality.end()) continue;
      ParetoPoint point = points[i].point;
      point.quality = value->second;
      point.number = i + 1;
      plot.points.push_back(std::move(point));
    }
    if (!plot.points.empty()) figures += pareto_figure(plot);
  }
  return figures;
}

std::vector<TunedPoint> read_points(JsonObject& tune) {
  const Json& json = tune.require("points");
  if (!json.is_array() || json.empty()) reject(tune.at("points"), "must be a list of at least one");
  std::vector<TunedPoint> points;
  for (std::size_t i = 0; i < json.size(); ++i)
    points.push_back(read_point(json[i], tune.at("points").at(index_key(i))));
  return points;
}

void add_held_out(Document& page, JsonObject& tune) {
  const Json* json = tune.find("held_out");
  if (json == nullptr || json->is_null()) return;
  JsonObject object(*json, tune.at("held_out"));
  Table table{{"clips", "speed-up"}, {}};
  std::vector<std::string> row = {std::to_string(object.integer("clips")),
                                  number_text(object.number("speedup")) + "x"};
  for (const auto& [name, value] : read_quality(object)) {
    table.heading.push_back(name);
    row.push_back(number_text(value));
  }
  table.rows.push_back(std::move(row));
  page.section("On prompts that took no part",
               "The chosen setting on prompts that the tuning did not see: what to expect.",
               table_markup(table));
}

}  // namespace

Page tune_page(const PageSource& source) {
  const Origin origin = Origin::file(source.file.string() + ": ");
  JsonObject tune(source.result, origin);
  const Target target = read_target(tune);
  const std::vector<TunedPoint> points = read_points(tune);
  const auto chosen =
      std::ranges::find_if(points, [](const TunedPoint& tuned) { return tuned.point.chosen; });
  const bool wants = target.speedup || !target.quality.empty();
  const std::string title = chosen != points.end() ? chosen->point.label
                            : wants                ? "No setting reaches the target"
                                                   : "Settings that no other beats";
  Document page(title, "tune");
  if (!tune.boolean("complete"))
    page.notice("The tuning was stopped; this is what was measured until then.");
  std::vector<Fact> facts = {{tune.text("policy"), "cache policy"},
                             {std::to_string(points.size()), "settings run"}};
  if (wants) facts.push_back({target_text(source.result.at("target")), "target"});
  if (chosen != points.end()) {
    JsonObject timed(tune.require("chosen"), tune.at("chosen"));
    facts.push_back({number_text(timed.number("timed_speedup")) + "x", "speed-up, timed in turns"});
  }
  page.facts(facts);
  page.section(
      "Speed against quality",
      "A dot is a setting; up and right is better. The front is that of the computed share "
      "and PSNR, so measured times may bend it. The numbers are those of the table; point "
      "at a dot for its values.",
      plots(points, target));
  page.section("The settings",
               "Every setting that was run. Those that fell behind early ran on fewer clips.",
               table_markup(points_table(points)));
  add_held_out(page, tune);
  Json setup = {{"plan", tune.require("plan")},
                {"environment", tune.require("environment")},
                {"bundle", tune.require("bundle")},
                {"clips", tune.require("clips")}};
  page.section("How it was measured", "The plan that was tuned, the machine and the clips.",
               table_markup(value_table(setup, Json::object())));
  return {page.finish(), {}};
}

}  // namespace bw
