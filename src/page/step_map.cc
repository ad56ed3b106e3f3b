#include "page/step_map.h"

#include <algorithm>

#include "page/svg.h"
#include "page/tables.h"

namespace bw {
namespace {

constexpr double kLeft = 40;
constexpr double kTop = 6;

struct Grid {
  double cell_width = 0;
  double cell_height = 0;
  double gap = 0;
};

std::size_t num_rows(const StepMap& map) {
  std::size_t rows = 0;
  for (const MapColumn& column : map.columns) rows = std::max(rows, column.cells.size());
  return rows;
}

Grid fit(std::size_t columns, std::size_t rows, MapSize size) {
  const bool is_full = size == MapSize::kFull;
  const double width =
      (is_full ? 660.0 : 280.0) / static_cast<double>(std::max<std::size_t>(columns, 1));
  const double height =
      (is_full ? 260.0 : 110.0) / static_cast<double>(std::max<std::size_t>(rows, 1));
  Grid grid{std::clamp(width, 3.0, is_full ? 44.0 : 24.0),
            std::clamp(height, 3.0, is_full ? 22.0 : 14.0)};
  grid.gap = std::min(grid.cell_width, grid.cell_height) > 6 ? 1 : 0.25;
  return grid;
}

const char* cell_class(const MapCell& cell) {
  if (cell.reused) return "cell reused";
  return cell.stages_reused.empty() ? "cell computed" : "cell partly";
}

// The stages of a block from left to right; those reused are drawn over it.
void draw_stages(Markup& svg, const MapCell& cell, Point corner, const Grid& grid) {
  const double width =
      (grid.cell_width - grid.gap) / static_cast<double>(cell.stages_reused.size());
  for (std::size_t i = 0; i < cell.stages_reused.size(); ++i) {
    if (!cell.stages_reused[i]) continue;
    svg.empty("rect", {{"class", "stage"},
                       {"x", corner.x + static_cast<double>(i) * width},
                       {"y", corner.y},
                       {"width", width},
                       {"height", grid.cell_height - grid.gap}});
  }
}

std::string evaluation_name(const MapColumn& column) {
  return "step " + std::to_string(column.step) +
         (column.part == 0 ? "" : ", evaluation " + std::to_string(column.part + 1));
}

void draw_column(Markup& svg, const MapColumn& column, double left, const Grid& grid,
                 double bottom) {
  svg.open("g");
  std::string tooltip = evaluation_name(column) + ": " + column.what;
  if (!column.reason.empty()) tooltip += " (" + column.reason + ")";
  svg.element("title", tooltip);
  for (std::size_t block = 0; block < column.cells.size(); ++block) {
    const MapCell& cell = column.cells[block];
    const Point corner{left, kTop + static_cast<double>(block) * grid.cell_height};
    svg.empty("rect", {{"class", cell_class(cell)},
                       {"x", corner.x},
                       {"y", corner.y},
                       {"width", grid.cell_width - grid.gap},
                       {"height", grid.cell_height - grid.gap}});
    if (!cell.reused) draw_stages(svg, cell, corner, grid);
  }
  if (column.overruled) {
    svg.empty("circle", {{"class", "overruled"},
                         {"cx", left + (grid.cell_width - grid.gap) / 2},
                         {"cy", bottom + 5},
                         {"r", std::min(2.5, grid.cell_width / 2)}});
  }
  svg.close();
}

void draw_labels(Markup& svg, const StepMap& map, const Grid& grid, double bottom) {
  const auto rows = static_cast<double>(num_rows(map));
  for (const double row : axis_ticks({0, std::max(1.0, rows - 1)}, 6, true)) {
    if (row > rows - 1) continue;
    svg.element("text", number_text(row),
                {{"class", "tick end"},
                 {"x", kLeft - 7},
                 {"y", kTop + (row + 0.5) * grid.cell_height + 4}});
  }
  std::int64_t last = 0;
  for (const MapColumn& column : map.columns) last = std::max(last, column.step);
  const std::vector<double> ticks = axis_ticks({0, std::max(1.0, static_cast<double>(last))},
                                               grid.cell_width < 14 ? 8 : 13, true);
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    const MapColumn& column = map.columns[i];
    const auto step = static_cast<double>(column.step);
    if (column.part != 0 || std::ranges::find(ticks, step) == ticks.end()) continue;
    svg.element("text", number_text(step),
                {{"class", "tick middle"},
                 {"x", kLeft + (static_cast<double>(i) + 0.5) * grid.cell_width},
                 {"y", bottom + 22}});
  }
}

std::string letters(const MapColumn& column) {
  std::string text;
  for (const MapCell& cell : column.cells)
    text += cell.reused ? '.' : cell.stages_reused.empty() ? '#' : '+';
  return text;
}

}  // namespace

std::string step_map_figure(const StepMap& map, MapSize size) {
  const std::size_t rows = num_rows(map);
  const Grid grid = fit(map.columns.size(), rows, size);
  const double bottom = kTop + static_cast<double>(rows) * grid.cell_height;
  const double width = kLeft + static_cast<double>(map.columns.size()) * grid.cell_width;
  Markup svg;
  open_svg(svg, "Blocks and steps, " + map.branch, {std::max(width + 6, 150.0), bottom + 44});
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    draw_column(svg, map.columns[i], kLeft + static_cast<double>(i) * grid.cell_width, grid,
                bottom);
  }
  draw_labels(svg, map, grid, bottom);
  svg.element("text", "step →", {{"class", "label"}, {"x", kLeft}, {"y", bottom + 40}});
  svg.element("text", "block", {{"class", "label"}, {"x", 0}, {"y", bottom + 12}});
  return svg.close().take();
}

std::string step_map_legend(const std::vector<StepMap>& maps) {
  using Form = LegendEntry::Form;
  bool has_stages = false, has_overruled = false;
  for (const StepMap& map : maps) {
    for (const MapColumn& column : map.columns) {
      has_overruled = has_overruled || column.overruled;
      for (const MapCell& cell : column.cells)
        has_stages = has_stages || !cell.stages_reused.empty();
    }
  }
  std::vector<LegendEntry> entries = {{Form::kBox, "cell computed", "computed"},
                                      {Form::kBox, "cell reused", "reused"}};
  if (has_stages) entries.push_back({Form::kBox, "stage", "stripe: a stage of the block reused"});
  if (has_overruled)
    entries.push_back({Form::kDot, "overruled", "computed because of a guard or a missing anchor"});
  return legend(entries);
}

std::string step_map_table(const StepMap& map) {
  Table table{{"step", "blocks (# computed, + in part, . reused)", "what", "decided by"}, {}};
  for (const MapColumn& column : map.columns) {
    table.rows.push_back({evaluation_name(column), letters(column), column.what, column.reason});
  }
  return folded_table("As a table: " + map.branch, table);
}

}  // namespace bw
