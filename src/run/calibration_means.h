// Means of what clips and branches gave, as a table of a policy. Used by the files of
// calibrations/.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cache/calibrated_table.h"

namespace bw {

class MeanTable {
 public:
  // Rows keep the order in which they are declared.
  void declare(const std::string& row, std::size_t columns);
  // A value that is not finite makes the mean unknown.
  void add(const std::string& row, std::size_t column, double value);
  // Infinite where nothing was added.
  [[nodiscard]] double mean(const std::string& row, std::size_t column) const;
  [[nodiscard]] CalibratedTable table() const;

 private:
  struct Sum {
    double sum = 0;
    std::size_t count = 0;
    [[nodiscard]] double mean() const;
  };
  struct Row {
    std::string name;
    std::vector<Sum> sums;
  };
  [[nodiscard]] std::size_t find(const std::string& row) const;

  std::vector<Row> rows_;
};

}  // namespace bw
