#include "run/calibration_means.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {

double MeanTable::Sum::mean() const {
  return count == 0 ? std::numeric_limits<double>::infinity() : sum / static_cast<double>(count);
}

void MeanTable::declare(const std::string& row, std::size_t columns) {
  rows_.push_back({row, std::vector<Sum>(columns)});
}

std::size_t MeanTable::find(const std::string& row) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const Row& candidate) { return candidate.name == row; });
  BW_CHECK(found != rows_.end(), row);
  return static_cast<std::size_t>(found - rows_.begin());
}

void MeanTable::add(const std::string& row, std::size_t column, double value) {
  Sum& sum = rows_[find(row)].sums.at(column);
  sum.sum += value;
  ++sum.count;
}

double MeanTable::mean(const std::string& row, std::size_t column) const {
  return rows_[find(row)].sums.at(column).mean();
}

CalibratedTable MeanTable::table() const {
  CalibratedTable table;
  for (const Row& row : rows_) {
    std::vector<double> values;
    values.reserve(row.sums.size());
    for (const Sum& sum : row.sums) values.push_back(sum.mean());
    table.add(row.name, std::move(values));
  }
  return table;
}

}  // namespace bw
