// The page of one run.
#include "base/files.h"
#include "page/document.h"
#include "page/html.h"
#include "page/tables.h"
#include "run/page_frames.h"
#include "run/page_parts.h"
#include "run/run_figures.h"

namespace bw {
namespace {

std::vector<Fact> facts_of(const RunFigures& run) {
  std::vector<Fact> facts = {{run.policy, "cache policy"},
                             {std::to_string(run.num_steps), "steps"},
                             {percent_text(reused_share(run.maps)), "of the blocks reused"}};
  if (run.measured) {
    facts.push_back({seconds_text(run.measured->denoise), "denoising"});
    facts.push_back({format_bytes(run.measured->peak_memory_bytes), "peak memory"});
    facts.push_back({format_bytes(run.measured->cache_bytes), "held by the cache"});
  }
  return facts;
}

void add_pictures(Document& page, const RunFigures& run, const std::filesystem::path& file,
                  std::vector<std::string>& notes) {
  const RunPictures pictures = run_pictures(run, file);
  if (!pictures.missing.empty()) {
    page.notice("Missing here: " + pictures.missing + ".");
    notes.push_back(pictures.missing);
  }
  if (pictures.markup.empty()) return;
  page.section("Frames", "Frames of the clip, evenly spread, with their numbers from 0.",
               pictures.markup);
}

void add_maps(Document& page, const RunFigures& run) {
  std::string content = step_map_legend(run.maps);
  for (const StepMap& map : run.maps) {
    content += subheading(map.branch);
    content += step_map_figure(map, MapSize::kFull);
    content += step_map_table(map);
  }
  page.section(
      "What was computed and what reused",
      "A column is one evaluation of the model, from noise on the left to the picture on the "
      "right; a row is one block of the transformer, the first on top. Point at a column "
      "to see what was reused and who decided.",
      content);
}

void add_indicator(Document& page, const RunFigures& run) {
  const std::string heading = "What the cache measured";
  if (!has_values(run.indicator)) {
    page.section(heading, "The policy '" + run.policy + "' measured nothing in this run.", "");
    return;
  }
  page.section(heading,
               "The relative change of the blocks since the step compared with, averaged over the "
               "blocks that are probed. Where a policy compares every step anew, it divides the "
               "change by the number of steps it spans before it looks at the threshold.",
               indicator_figure(run.indicator));
}

void add_times(Document& page, const RunFigures& run) {
  if (!run.measured) {
    page.section("Where the time went",
                 "A video carries no times; make the page from the report of the run to see them.",
                 "");
    return;
  }
  page.section("Where the time went",
               "Seconds of each stage; the pale bars are parts of the denoising.",
               stage_times_figure(run.measured->stages) + subheading("Each step") +
                   step_times_figure(run.measured->steps, run.reused));
}

}  // namespace

Page run_page(const PageSource& source) {
  const RunFigures run = read_run_figures(source.result, source.file);
  Page result;
  Document page(run.prompt.empty() ? run.name : run.prompt, "run");
  page.facts(facts_of(run));
  add_pictures(page, run, source.file, result.notes);
  add_maps(page, run);
  add_indicator(page, run);
  add_times(page, run);
  page.section("The plan",
               run.sources.empty()
                   ? "Every value of the run."
                   : "Every value of the run and where it came from: a flag, a file, the model's "
                     "bundle or the default.",
               table_markup(value_table(run.plan, run.sources)));
  Json stands_on = run.environment;
  stands_on["bundle"] = run.bundle;
  page.section("What the run stands on",
               "Versions, machine and model. Another machine or version may give other bits.",
               table_markup(value_table(stands_on, Json::object())));
  result.html = page.finish();
  return result;
}

}  // namespace bw
