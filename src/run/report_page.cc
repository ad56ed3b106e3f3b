#include "run/report_page.h"

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "run/page_parts.h"
#include "run/pareto.h"
#include "run/run_record.h"

namespace bw {
namespace {

constexpr const char* kExtension = ".html";

std::string kind_of(const PageSource& source) {
  const Json& result = source.result;
  const bool is_ours = result.is_object() && result.contains("kind") &&
                       result.at("kind").is_string() && result.contains("format_version");
  return is_ours ? result.at("kind").get<std::string>() : "";
}

// What this program writes.
void check_version(const PageSource& source) {
  const Origin origin = Origin::file(source.file.string() + ": ");
  const std::int64_t known = kind_of(source) == "bwcache-gen bench" ? 2 : 1;
  const std::int64_t version = JsonObject(source.result, origin).integer("format_version");
  if (version == known) return;
  reject(origin.at("format_version"), std::to_string(version) +
                                          " is not what this version of the program reads, " +
                                          std::to_string(known) + "; use the one that wrote it");
}

bool is_run(const std::string& kind) {
  return kind == "bwcache-gen report" || kind == "bwcache-gen video";
}

[[noreturn]] void reject_kind(const PageSource& source, const std::string& expected) {
  const std::string kind = kind_of(source);
  throw InputError(
      source.file.string() + ": " +
      (kind.empty() ? "is no result of this program" : "'" + kind + "' cannot be shown here") +
      "; expected " + expected);
}

}  // namespace

std::string index_key(std::size_t i) {
  std::string key = "[";
  key.append(std::to_string(i)).append("]");
  return key;
}

std::string direction_of(const MetricInfo& metric) {
  switch (metric.better) {
    case Better::kHigher:
      return "higher is closer";
    case Better::kLower:
      return "lower is closer";
    case Better::kNearestOne:
      return "1 is closest";
  }
  BW_CHECK(false, "unknown direction");
}

void mark_front(ParetoPlot& plot, const MetricInfo& metric) {
  std::vector<TradeOff> trade_offs;
  for (const ParetoPoint& point : plot.points) {
    trade_offs.push_back({-point.speedup, badness(metric.better, point.quality)});
  }
  const std::vector<std::size_t> layers = pareto_layers(trade_offs);
  for (std::size_t i = 0; i < layers.size(); ++i) plot.points[i].front = layers[i] == 0;
}

bool is_page_path(const std::filesystem::path& path) { return path.extension() == kExtension; }

void check_page_path(const std::filesystem::path& path) {
  if (!is_page_path(path)) {
    throw UsageError("--report: writes a page, so its name must end in .html, got '" +
                     path.string() + "'; --json prints the result as JSON");
  }
  check_writable(path);
}

std::optional<std::filesystem::path> requested_page(const Request& request) {
  auto path = request.path("report");
  if (!path) return std::nullopt;
  const bool is_flag = request.origin("report").kind == Origin::Kind::kFlag;
  if (!is_flag && !is_page_path(*path)) return std::nullopt;
  check_page_path(*path);
  return path;
}

PageSource read_page_source(const std::filesystem::path& file) {
  if (std::filesystem::is_directory(file)) {
    throw InputError(file.string() + ": is a folder; a page is made of reports (.json) and videos");
  }
  if (file.extension() == ".json") return {read_json_file(file), file};
  if (file.extension() == ".safetensors") {
    throw InputError(file.string() +
                     ": holds latents; a page is made of reports (.json) and videos");
  }
  return {read_run_record(file).whole, file};
}

Page page_of(const PageSource& source) {
  const std::string kind = kind_of(source);
  if (!kind.empty()) check_version(source);
  if (is_run(kind)) return run_page(source);
  if (kind == "bwcache-gen bench") return bench_page(source);
  if (kind == "bwcache-gen tune") return tune_page(source);
  reject_kind(source, "a run's report or video, or what bench --save or tune wrote");
}

Page page_of_set(std::span<const PageSource> runs) {
  for (const PageSource& run : runs) {
    if (!is_run(kind_of(run))) reject_kind(run, "reports and videos of runs, to set side by side");
    check_version(run);
  }
  return set_page(runs);
}

void write_page(const std::filesystem::path& path, const Page& page, Observer& observer) {
  for (const std::string& note : page.notes) observer.note("page: " + note);
  write_file(path, page.html);
}

}  // namespace bw
