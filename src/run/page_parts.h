// The pages behind page_of (report_page.h), one file per kind of result.
#pragma once

#include <span>

#include "page/pareto.h"
#include "quality/metric.h"
#include "run/report_page.h"

namespace bw {

// Sets `front` of the points that no other beats in speed or quality without being worse in the
// other (run/pareto.h).
void mark_front(ParetoPlot& plot, const MetricInfo& metric);

// "[3]": an entry of a list, for an Origin.
[[nodiscard]] std::string index_key(std::size_t i);

// "higher is closer"
[[nodiscard]] std::string direction_of(const MetricInfo& metric);

// The result's kind and version are checked; the rest is checked by these, through InputError.
[[nodiscard]] Page run_page(const PageSource& source);             // run_page.cc
[[nodiscard]] Page set_page(std::span<const PageSource> sources);  // set_page.cc
[[nodiscard]] Page bench_page(const PageSource& source);           // bench_page.cc
[[nodiscard]] Page tune_page(const PageSource& source);            // tune_page.cc

}  // namespace bw
