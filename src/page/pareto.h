// Speed-up against quality: which settings no other setting beats in both.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace bw {

struct ParetoPoint {
  std::string label;   // "threshold=0.04"
  std::string series;  // what it belongs to, e.g. a policy; gives the colour
  double speedup = 1;
  double quality = 0;
  std::size_t number = 0;  // drawn beside the dot: its row in the table
  bool front = false;
  bool measured = true;  // false: predicted, drawn hollow
  bool chosen = false;
};

struct ParetoPlot {
  std::string metric;               // "psnr"
  std::string unit;                 // "dB", or ""
  std::string direction;            // "higher is closer"
  std::vector<ParetoPoint> points;  // not empty
  std::optional<double> target_speedup;
  std::optional<double> target_quality;
};

// Dots of class "dot series-i", and "muted" off the front, "hollow" when not measured; a line
// "front" through the front and a circle "chosen" around what was chosen.
[[nodiscard]] std::string pareto_figure(const ParetoPlot& plot);

}  // namespace bw
