#include "run/tune.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "run/environment.h"
#include "run/tune_search.h"

namespace bw {
namespace {

Json target_to_json(const TuneTarget& target) {
  Json json = Json::object();
  if (target.speedup) json["speedup"] = *target.speedup;
  for (const auto& [metric, limit] : target.quality) json[metric] = limit;
  return json;
}

Json clips_to_json(const std::vector<TuneClip>& clips) {
  Json json = Json::array();
  for (const TuneClip& clip : clips) {
    json.push_back({{"prompt", clip.prompt}, {"seed", clip.seed}});
  }
  return json;
}

Json points_to_json(const TuneSearch& search) {
  const std::vector<std::size_t> whole = search.finalists();
  std::vector<TradeOff> trade_offs;
  trade_offs.reserve(whole.size());
  for (const std::size_t i : whole) trade_offs.push_back(search.points()[i].trade_off());
  const std::vector<std::size_t> layers = pareto_layers(trade_offs);
  Json points = Json::array();
  for (std::size_t i = 0; i < search.points().size(); ++i) {
    if (search.points()[i].runs.empty()) continue;
    Json point = search.points()[i].to_json();
    const auto at = std::find(whole.begin(), whole.end(), i);
    point["front"] = at != whole.end() && layers[static_cast<std::size_t>(at - whole.begin())] == 0;
    point["chosen"] = search.chosen() == i;
    points.push_back(std::move(point));
  }
  return points;
}

// The measured point that comes nearest to the target's first condition.
Json best_reachable(const TuneSearch& search, const TuneTarget& target) {
  Json best;
  double best_value = -std::numeric_limits<double>::infinity();
  for (const std::size_t i : search.finalists()) {
    const TunePoint& point = search.points()[i];
    const double value = target.speedup ? point.speedup() : point.quality().at("psnr");
    if (value <= best_value) continue;
    best_value = value;
    best = point.to_json();
  }
  return best;
}

Json held_out_to_json(const TunePoint& point, const TuneSearch& search) {
  return {{"clips", point.runs.size()},
          {"speedup", point.speedup()},
          {"computed_fraction", point.computed_fraction()},
          {"quality", point.quality()},
          {"reaches_target", search.reaches_target(point)}};
}

std::string point_line(const Json& point) {
  const auto text = [](const Json& json, const char* key) {
    return json.contains(key) ? significant(json.at(key).get<double>(), 4) : std::string();
  };
  const Json& quality = point.at("quality");
  std::array<char, 320> line{};
  std::snprintf(line.data(), line.size(), "%-56s %6.2fx %7.0f %% %8s %8s %s\n",
                point.at("label").get<std::string>().c_str(), point.at("speedup").get<double>(),
                100 * point.at("computed_fraction").get<double>(), text(quality, "psnr").c_str(),
                text(quality, "ssim").c_str(), point.value("chosen", false) ? " <- chosen" : "");
  return line.data();
}

}  // namespace

Json tune(const Bundle& model, const TuneSetup& setup, Observer& observer) {
  TuneRuns runs(model, setup, observer);
  TuneSearch search(setup, runs);
  Json held_out;
  bool complete = false;
  try {
    runs.record();
    search.forecast();
    observer.note(std::to_string(search.num_candidates()) + " settings, of which " +
                  std::to_string(search.points().size()) + " decide differently");
    search.race();
    search.refine();
    search.choose();
    if (search.chosen() && !setup.held_out.empty()) {
      const TuneCandidate& candidate = search.points()[*search.chosen()].candidate;
      held_out = held_out_to_json(runs.measure_held_out(candidate), search);
    }
    complete = true;
  } catch (const Interrupted&) {
    observer.note("stopped; what was measured so far is kept");
  }
  Json chosen;
  if (search.chosen()) {
    chosen = search.points()[*search.chosen()].to_json();
    chosen["timed_speedup"] = search.chosen_speedup();
  }
  const double grid = search.grid_blocks();
  return {{"format_version", 1},
          {"kind", "bwcache-gen tune"},
          {"complete", complete},
          {"environment", environment_fingerprint(setup.base.model)},
          {"bundle", {{"name", model.manifest().name}, {"sha256", model.manifest().hash}}},
          {"plan", plan_to_json(setup.base, false)},
          {"policy", setup.base.clip.cache.policy},
          {"clips", clips_to_json(setup.clips)},
          {"target", target_to_json(setup.target)},
          {"candidates", search.num_candidates()},
          {"distinct", search.points().size()},
          {"evaluations",
           {{"blocks_computed", runs.blocks()},
            {"grid_blocks", grid},
            {"share", grid > 0 ? runs.blocks() / grid : 0}}},
          {"points", points_to_json(search)},
          {"chosen", chosen},
          {"best_reachable", best_reachable(search, setup.target)},
          {"held_out", held_out}};
}

std::string tune_table(const Json& result) {
  std::string table =
      "setting                                                  speed-up computed     PSNR     "
      "SSIM\n";
  std::vector<Json> front;
  for (const Json& point : result.at("points")) {
    if (point.at("front").get<bool>() || point.at("chosen").get<bool>()) front.push_back(point);
  }
  std::sort(front.begin(), front.end(), [](const Json& a, const Json& b) {
    return a.at("computed_fraction").get<double>() > b.at("computed_fraction").get<double>();
  });
  for (const Json& point : front) table += point_line(point);
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(),
                "%ld settings, %ld tried; %.0f %% of the model evaluations of running them all\n",
                result.at("candidates").get<long>(), static_cast<long>(result.at("points").size()),
                100 * result.at("evaluations").at("share").get<double>());
  table += line.data();
  if (const Json& held = result.at("held_out"); !held.is_null()) {
    std::snprintf(line.data(), line.size(), "held out: %ld clips, %.2fx, PSNR %.4g, SSIM %.4g%s\n",
                  held.at("clips").get<long>(), held.at("speedup").get<double>(),
                  held.at("quality").at("psnr").get<double>(),
                  held.at("quality").at("ssim").get<double>(),
                  held.at("reaches_target").get<bool>() ? "" : "  (misses the target)");
    table += line.data();
  }
  return table;
}

Json tuned_config(const Json& result) {
  if (result.at("chosen").is_null()) {
    std::string message = "no setting reaches the target";
    if (const Json& best = result.at("best_reachable"); !best.is_null()) {
      std::array<char, 200> text{};
      std::snprintf(text.data(), text.size(), "; the best found is %.2fx at %.4g dB (%s)",
                    best.at("speedup").get<double>(), best.at("quality").at("psnr").get<double>(),
                    best.at("label").get<std::string>().c_str());
      message += text.data();
    }
    throw GateError(message);
  }
  const Json& chosen = result.at("chosen");
  const Json& plan = result.at("plan");
  return {{"steps", plan.at("steps")},
          {"sampler", plan.at("sampler")},
          {"cache", cache_config(chosen.at("cache"), plan.at("cache"))},
          {"provenance",
           {{"made_by", "bwcache-gen tune"},
            {"target", result.at("target")},
            {"bundle", result.at("bundle")},
            {"environment", result.at("environment")},
            {"clips", result.at("clips").size()},
            {"measured",
             {{"speedup", chosen.at("timed_speedup")},
              {"computed_fraction", chosen.at("computed_fraction")},
              {"quality", chosen.at("quality")}}},
            {"held_out", result.at("held_out")}}}};
}

}  // namespace bw
