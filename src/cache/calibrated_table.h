// Tables that `calibrate` measured, as a text parameter of their policy, so that a config, a report
// and a trace carry them like any other parameter. Read policies/magcache.cc for a use and
// run/calibrate.h for where tables come from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/params.h"
#include "cache/made_for.h"

namespace bw {

inline constexpr std::string_view kTableForm =
    "rows name:value;value … with / between rows and - for a value that is not known";

class CalibratedTable {
 public:
  CalibratedTable() = default;
  // Rejects a text of another form, a repeated name and a value that is not finite.
  [[nodiscard]] static CalibratedTable parse(std::string_view text, const Origin& origin);

  void add(std::string name, std::vector<double> values);
  // Values with five significant digits; those that are not finite as "-".
  [[nodiscard]] std::string text() const;

  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Null when there is no such row. What is not known is infinite.
  [[nodiscard]] const std::vector<double>* find(std::string_view name) const;
  // Rejects a row that is missing or has another number of values than `size`.
  [[nodiscard]] const std::vector<double>& row(const std::string& name, std::size_t size,
                                               const Origin& origin) const;

 private:
  std::vector<std::pair<std::string, std::vector<double>>> rows_;
};

// Base of the parameters of a policy that runs on a table.
struct CalibratedParams : public Params {
  std::string table;
  std::string made_for;

  // Visits the table under its own name, and made_for.
  void visit_table(ParamVisitor& visitor, ParamDoc doc);
  // The form of both; needs no model.
  void check_table(std::string_view name, const Origin& origin) const;
  // For a policy's constructor: rejects an empty table, saying how to make one, and one that was
  // measured with something else than this run.
  [[nodiscard]] CalibratedTable load_table(std::string_view name, std::string_view policy,
                                           const Origin& origin, const RunIdentity& identity) const;
};

}  // namespace bw
