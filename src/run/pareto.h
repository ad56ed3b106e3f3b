// Which of many points are worth keeping when two things count at once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace bw {

// Both are better when smaller.
struct TradeOff {
  double cost = 0;
  double loss = 0;
};

// The layer of every point: 0 for those that no other beats in one thing without being worse in the
// other (the Pareto front), 1 for the front of the rest, and so on (Deb et al., 2002, "A fast and
// elitist multiobjective genetic algorithm: NSGA-II"). Of equal points the first alone is on its
// layer.
[[nodiscard]] std::vector<std::size_t> pareto_layers(std::span<const TradeOff> points);

// At most `count` points, layer by layer; of a layer that does not fit as a whole, those spread
// evenly over its costs. Ascending indices.
[[nodiscard]] std::vector<std::size_t> choose_by_layer(std::span<const TradeOff> points,
                                                       std::size_t count);

}  // namespace bw
