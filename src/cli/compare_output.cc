#include "cli/compare_output.h"

#include <algorithm>

#include "base/text.h"

namespace bw {
namespace {

std::string number(double value) { return significant(value, 4); }

// Where the worst value is: "frame 5", "frames 5-6", "" for a value of the whole clip.
std::string place(const MetricResult& result) {
  const std::string frame = std::to_string(result.worst_frame);
  if (result.value_of == ValueOf::kClip) return "";
  if (result.value_of == ValueOf::kFrame) return "frame " + frame;
  return "frames " + frame + "-" + std::to_string(result.worst_frame + 1);
}

using Row = std::vector<std::string>;

// Left-aligned columns, two spaces apart.
std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    text += line;
    text += '\n';
  }
  return text;
}

std::string with_unit(double value, const std::string& unit) {
  return unit.empty() ? number(value) : number(value) + " " + unit;
}

Row clip_row(const MetricResult& result) {
  const std::string mean = with_unit(result.mean, result.unit);
  if (result.value_of == ValueOf::kClip) return {result.name, mean, "", ""};
  return {result.name, mean, number(result.p10), number(result.worst) + " (" + place(result) + ")"};
}

Row set_row(const SetResult& result) {
  const MetricResult& means = result.means;
  const MetricResult& worst = result.worst_value;
  std::string where = place(worst);
  if (!where.empty())
    where = number(worst.worst) + " (" + result.worst_value_clip + ", " + where + ")";
  return {means.name, with_unit(means.mean, means.unit), number(means.p10),
          number(means.worst) + " (" + result.worst_clip + ")", where};
}

}  // namespace

std::string comparison_table(std::span<const ClipResult> clips, bool is_set) {
  std::vector<Row> rows;
  if (!is_set) {
    rows.push_back({"metric", "mean", "p10", "worst"});
    for (const MetricResult& result : clips.front().metrics) rows.push_back(clip_row(result));
    return aligned(rows);
  }
  rows.push_back({"metric", "mean", "p10", "worst clip", "worst frame"});
  for (const SetResult& result : summarize_set(clips)) rows.push_back(set_row(result));
  return std::to_string(clips.size()) + (clips.size() == 1 ? " clip\n" : " clips\n") +
         aligned(rows);
}

Json to_json(const MetricResult& result) {
  return {{"mean", result.mean},
          {"p10", result.p10},
          {"worst", result.worst},
          {"worst_frame", result.worst_frame},
          {"unit", result.unit},
          {"better", to_string(result.better)},
          {"value_of", to_string(result.value_of)},
          {"values", result.values}};
}

Json to_json(const SetResult& result) {
  return {{"mean", result.means.mean},
          {"p10", result.means.p10},
          {"worst", result.means.worst},
          {"worst_clip", result.worst_clip},
          {"worst_value", result.worst_value.worst},
          {"worst_value_clip", result.worst_value_clip},
          {"worst_value_frame", result.worst_value.worst_frame}};
}

}  // namespace bw
