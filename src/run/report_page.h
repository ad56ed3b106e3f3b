// Results of this program as an HTML page: a run's report, a set of them, a bench, a tuning. Read
// run_figures.h for what is taken from a run's report, page/document.h for the page itself.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/progress.h"
#include "run/request.h"

namespace bw {

// A result and the file it was read from: videos are looked for beside it.
struct PageSource {
  Json result;
  std::filesystem::path file;
};

struct Page {
  std::string html;
  std::vector<std::string> notes;  // what the page lacks and says so; worth a line on stderr too
};

// By the extension .html.
[[nodiscard]] bool is_page_path(const std::filesystem::path& path);
// For commands whose --report can be a page only. Throws UsageError for another extension,
// OutputError where no file can be made. Makes nothing.
void check_page_path(const std::filesystem::path& path);

// The page that --report asks of a command whose result is not a run's report; checked as above. A
// config's "report" is a run's, and none here unless it is a page.
[[nodiscard]] std::optional<std::filesystem::path> requested_page(const Request& request);

// A .json file, or a video with its metadata. Throws InputError.
[[nodiscard]] PageSource read_page_source(const std::filesystem::path& file);

// Of any kind that this program writes, by "kind". Throws InputError naming the file and the JSON
// path when it is damaged, of a later format or none of ours.
[[nodiscard]] Page page_of(const PageSource& source);
// Several runs beside each other, measured from the first. Throws InputError, also for what is no
// run.
[[nodiscard]] Page page_of_set(std::span<const PageSource> runs);

// Throws OutputError.
void write_page(const std::filesystem::path& path, const Page& page, Observer& observer);

}  // namespace bw
