// Rows of all entries of a batch as one parallel region: starting threads once per entry costs as
// much as a small entry's work. Read norm_modulate.cc for a use.
#pragma once

#include <cstdint>
#include <functional>

namespace bw {

struct BatchRows {
  std::int64_t batch = 0;
  std::int64_t rows = 0;      // of one entry
  std::int64_t elements = 0;  // of one row, which decides how many are worth a task
};

// Calls work(entry, begin, end) for rows [begin,end) of each entry, every row once.
void parallel_rows(
    const BatchRows& shape,
    const std::function<void(std::int64_t entry, std::int64_t begin, std::int64_t end)>& work);

}  // namespace bw
