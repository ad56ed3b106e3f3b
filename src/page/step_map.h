// The map of blocks and steps: what was computed and what was reused, one map per guidance branch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

struct MapCell {
  bool reused = false;              // all of the block
  std::vector<bool> stages_reused;  // of a block whose stages differ; else empty
};

// An evaluation of the model; Heun has two per step.
struct MapColumn {
  std::int64_t step = 0;
  int part = 0;
  std::string what;            // "computed", "the whole stack reused" …
  std::string reason;          // who decided
  bool overruled = false;      // a guard or a missing anchor made it compute
  std::vector<MapCell> cells;  // first block first; empty: the branch took no part
};

struct StepMap {
  std::string branch;  // "conditional branch"
  std::vector<MapColumn> columns;
};

enum class MapSize { kFull, kSmall };

// Rectangles of class "cell computed", "cell partly" or "cell reused", one per block and
// evaluation; a partly reused one is overlaid with one of class "stage" per reused stage.
[[nodiscard]] std::string step_map_figure(const StepMap& map, MapSize size);
// Of the marks that the maps hold.
[[nodiscard]] std::string step_map_legend(const std::vector<StepMap>& maps);
// The same as a table, one row per evaluation.
[[nodiscard]] std::string step_map_table(const StepMap& map);

}  // namespace bw
