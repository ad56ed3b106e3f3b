// The page of several runs beside each other.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "page/document.h"
#include "page/html.h"
#include "page/pareto.h"
#include "page/tables.h"
#include "run/page_frames.h"
#include "run/page_parts.h"
#include "run/run_figures.h"
#include "run/statistics.h"

namespace bw {
namespace {

struct SetRun {
  RunFigures figures;
  std::filesystem::path file;
  std::vector<FrameQuality> quality;  // against the first; empty for it, or when not comparable
};

// Why a comparison frame by frame would say nothing about the cache; "" when it does.
std::string difference_of_plans(const Json& a, const Json& b) {
  for (const char* key : {"prompt", "negative_prompt", "seed", "width", "height", "num_frames"}) {
    if (a.value(key, Json()) != b.value(key, Json())) return key;
  }
  return "";
}

void measure_quality(std::vector<SetRun>& runs, std::vector<std::string>& notes) {
  const SetRun& first = runs.front();
  for (std::size_t i = 1; i < runs.size(); ++i) {
    SetRun& run = runs[i];
    const std::string key = difference_of_plans(first.figures.plan, run.figures.plan);
    if (!key.empty()) {
      notes.push_back(run.figures.name + " is not compared with " + first.figures.name +
                      ", since its " + key + " is another");
      continue;
    }
    try {
      run.quality = measure_frames(find_video(run.figures, run.file),
                                   find_video(first.figures, first.file), run.figures.name);
    } catch (const InputError& error) {
      notes.push_back(run.figures.name + " is not compared with " + first.figures.name + ": " +
                      error.what());
    }
  }
}

std::optional<double> speedup(const SetRun& run, const SetRun& first) {
  if (!run.figures.measured || !first.figures.measured || run.figures.measured->denoise <= 0)
    return std::nullopt;
  return first.figures.measured->denoise / run.figures.measured->denoise;
}

// The same metric of all runs in one figure, by the metric's name.
std::map<std::string, FrameQuality> by_metric(const std::vector<SetRun>& runs) {
  std::map<std::string, FrameQuality> all;
  for (const SetRun& run : runs) {
    for (const FrameQuality& quality : run.quality) {
      FrameQuality& joined =
          all.try_emplace(quality.metric,
                          FrameQuality{quality.metric, quality.unit, quality.direction, {}})
              .first->second;
      joined.series.push_back(quality.series.front());
    }
  }
  return all;
}

// "threshold=0.1, reuse_interval=2"
std::string params_text(const Json& params) {
  std::string text;
  for (const auto& [key, value] : params.items()) {
    if (!text.empty()) text += ", ";
    text.append(key).append("=").append(value.is_string() ? value.get<std::string>()
                                                          : value.dump());
  }
  return text;
}

Table comparison(const std::vector<SetRun>& runs) {
  const auto metrics = by_metric(runs);
  Table table{{"run", "policy", "parameters", "steps", "reused", "denoising", "speed-up"}, {}};
  for (const auto& [name, quality] : metrics) table.heading.push_back(name + " " + quality.unit);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const SetRun& run = runs[i];
    const RunFigures& figures = run.figures;
    const auto gain = speedup(run, runs.front());
    std::vector<std::string> row = {std::to_string(i + 1) + ": " + figures.name,
                                    figures.policy,
                                    params_text(figures.plan.at("cache").at("params")),
                                    std::to_string(figures.num_steps),
                                    percent_text(reused_share(figures.maps)),
                                    figures.measured ? seconds_text(figures.measured->denoise) : "",
                                    gain ? number_text(*gain) + "x" : ""};
    for (const auto& [name, joined] : metrics) {
      std::string text;
      for (const FrameQuality& quality : run.quality) {
        if (quality.metric == name) text = number_text(mean(quality.series.front().per_frame));
      }
      row.push_back(text);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

void add_quality(Document& page, const std::vector<SetRun>& runs) {
  std::string content, tradeoff;
  for (const auto& [name, quality] : by_metric(runs)) {
    content += frame_quality_figure(quality);
    ParetoPlot plot{quality.metric, quality.unit, quality.direction, {}, {}, {}};
    for (std::size_t i = 1; i < runs.size(); ++i) {
      const auto gain = speedup(runs[i], runs.front());
      for (const FrameQuality& own : runs[i].quality) {
        if (own.metric != name || !gain) continue;
        const double value = mean(own.series.front().per_frame);
        plot.points.push_back({runs[i].figures.name, runs[i].figures.policy, *gain, value, i + 1});
      }
    }
    mark_front(plot, find_metric(name, Origin::file("metric")));
    if (plot.points.size() > 1) tradeoff += pareto_figure(plot);
  }
  if (content.empty()) return;
  page.section("Quality, frame by frame",
               "How near each run is to the first one, measured on the video files.", content);
  if (tradeoff.empty()) return;
  page.section(
      "Speed against quality",
      "Up and right is better. Every point is a single run, so small differences in speed "
      "mean little. The numbers are those of the table; the first run is what the others are "
      "measured from, so it is not drawn.",
      tradeoff);
}

void add_maps(Document& page, const std::vector<SetRun>& runs) {
  std::vector<StepMap> all;
  std::vector<CaptionedFigure> figures;
  for (const SetRun& run : runs) {
    for (const StepMap& map : run.figures.maps) {
      all.push_back(map);
      figures.push_back(
          {run.figures.name + ", " + map.branch, step_map_figure(map, MapSize::kSmall)});
    }
  }
  page.section("What was computed and what reused",
               "A column is one evaluation of the model, a row one block of the transformer. Point "
               "at a column to see what was reused and who decided.",
               step_map_legend(all) + small_multiples(figures));
}

void add_pictures(Document& page, const std::vector<SetRun>& runs,
                  std::vector<std::string>& notes) {
  std::string content;
  constexpr std::int64_t kFrames = 8;
  for (const SetRun& run : runs) {
    try {
      const auto frames = sample_frames(find_video(run.figures, run.file), kFrames);
      content += subheading(run.figures.name) + contact_sheet(sheet_of(run.figures.name, frames));
    } catch (const InputError& error) {
      notes.push_back(run.figures.name + ": no frames: " + error.what());
    }
  }
  if (!content.empty()) page.section("Frames", "The same frames of every clip.", content);
}

// "fox.json" of two folders would be two runs of one name.
void tell_apart(std::vector<SetRun>& runs) {
  std::map<std::string, int> count;
  for (const SetRun& run : runs) ++count[run.figures.name];
  for (SetRun& run : runs) {
    if (count[run.figures.name] > 1) run.figures.name = run.file.string();
  }
}

}  // namespace

Page set_page(std::span<const PageSource> sources) {
  std::vector<SetRun> runs;
  for (const PageSource& source : sources)
    runs.push_back({read_run_figures(source.result, source.file), source.file, {}});
  tell_apart(runs);
  Page result;
  measure_quality(runs, result.notes);
  Document page(std::to_string(runs.size()) + " runs, measured from " + runs.front().figures.name,
                "runs");
  page.section("Side by side",
               "A row is a run. Speed-up and quality are measured from the first one; times of "
               "single runs vary, bench repeats them.",
               table_markup(comparison(runs)));
  add_quality(page, runs);
  add_maps(page, runs);
  add_pictures(page, runs, result.notes);
  for (const std::string& note : result.notes) page.notice("Missing here: " + note + ".");
  result.html = page.finish();
  return result;
}

}  // namespace bw
