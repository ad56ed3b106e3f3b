#include "cache/calibrated_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/text.h"

namespace bw {
namespace {

constexpr std::string_view kUnknown = "-";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<double> value_of(std::string_view text) {
  if (text == kUnknown) return std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

CalibratedTable CalibratedTable::parse(std::string_view text, const Origin& origin) {
  CalibratedTable table;
  if (text.empty()) return table;
  for (const std::string_view part : split(text, '/')) {
    const std::size_t colon = part.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      reject(origin, "must be " + std::string(kTableForm) + ", got '" +
                         std::string(part.substr(0, 40)) + "'");
    }
    const std::string name(part.substr(0, colon));
    if (table.find(name) != nullptr) reject(origin, "has the row '" + name + "' twice");
    std::vector<double> values;
    if (const std::string_view listed = part.substr(colon + 1); !listed.empty()) {
      for (const std::string_view item : split(listed, ';')) {
        const std::optional<double> value = value_of(item);
        if (!value) {
          reject(origin, "row '" + name + "': '" + std::string(item) + "' is no number");
        }
        values.push_back(*value);
      }
    }
    table.add(name, std::move(values));
  }
  return table;
}

void CalibratedTable::add(std::string name, std::vector<double> values) {
  rows_.emplace_back(std::move(name), std::move(values));
}

std::string CalibratedTable::text() const {
  constexpr int kDigits = 5;
  std::string text;
  for (const auto& [name, values] : rows_) {
    if (!text.empty()) text += '/';
    text += name;
    text += ':';
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) text += ';';
      text += std::isfinite(values[i]) ? significant(values[i], kDigits) : std::string(kUnknown);
    }
  }
  return text;
}

const std::vector<double>* CalibratedTable::find(std::string_view name) const {
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return row.first == name; });
  return found == rows_.end() ? nullptr : &found->second;
}

const std::vector<double>& CalibratedTable::row(const std::string& name, std::size_t size,
                                                const Origin& origin) const {
  const std::vector<double>* values = find(name);
  if (values == nullptr && rows_.empty()) {
    reject(origin, "is empty, this run needs its row '" + name + "'; calibrate again");
  }
  if (values == nullptr) {
    std::vector<std::string> known;
    for (const auto& [other, unused] : rows_) known.push_back(other);
    constexpr std::size_t kMostNamed = 8;
    if (known.size() > kMostNamed) known.resize(kMostNamed);
    std::string names;
    for (const std::string& other : known) names += (names.empty() ? "" : ", ") + other;
    reject(origin, "has no row '" + name + "', which this run needs (it begins with: " + names +
                       "); calibrate again");
  }
  if (values->size() != size) {
    reject(origin, "row '" + name + "' has " + std::to_string(values->size()) +
                       " values, this run needs " + std::to_string(size) + "; calibrate again");
  }
  return *values;
}

void CalibratedParams::visit_table(ParamVisitor& visitor, ParamDoc doc) {
  visitor.text(doc, table, kTableForm);
  visitor.text({"made_for", "what the table was measured with; a run that differs is refused"},
               made_for, kMadeForForm);
}

void CalibratedParams::check_table(std::string_view name, const Origin& origin) const {
  (void)CalibratedTable::parse(table, origin.at(name));
  check_made_for_form(made_for, origin.at("made_for"));
}

CalibratedTable CalibratedParams::load_table(std::string_view name, std::string_view policy,
                                             const Origin& origin,
                                             const RunIdentity& identity) const {
  if (table.empty()) {
    reject(origin.at(name), "is empty: " + std::string(policy) +
                                " needs a table that is measured on the model; make one with "
                                "`bwcache-gen calibrate --cache " +
                                std::string(policy) +
                                " --prompts FILE --save plan.json` and run with `--config "
                                "plan.json`");
  }
  check_made_for(made_for, identity, origin.at("made_for"));
  return CalibratedTable::parse(table, origin.at(name));
}

}  // namespace bw
