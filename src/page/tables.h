// Tables: of rows and columns, and of the values of a plan with the place each came from.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace bw {

// Rows as long as the heading. A cell that is a number, perhaps with a unit, is set to the right.
struct Table {
  std::vector<std::string> heading;
  std::vector<std::vector<std::string>> rows;
};

[[nodiscard]] std::string table_markup(const Table& table);
// Behind a line that opens it.
[[nodiscard]] std::string folded_table(const std::string& summary, const Table& table);

// One row per value; nested objects become "cache.params.threshold". With `sources` (such a
// name -> place) a column says where a value came from.
[[nodiscard]] Table value_table(const Json& values, const Json& sources);

}  // namespace bw
