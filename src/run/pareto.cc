#include "run/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bw {
namespace {

// Ascending cost, then loss, then index.
std::vector<std::size_t> by_cost(std::span<const TradeOff> points) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].cost != points[b].cost ? points[a].cost < points[b].cost
                                            : points[a].loss < points[b].loss;
  });
  return order;
}

}  // namespace

std::vector<std::size_t> pareto_layers(std::span<const TradeOff> points) {
  constexpr auto kNone = std::numeric_limits<std::size_t>::max();
  const std::vector<std::size_t> order = by_cost(points);
  std::vector<std::size_t> layers(points.size(), kNone);
  std::size_t left = points.size();
  for (std::size_t layer = 0; left > 0; ++layer) {
    double best = std::numeric_limits<double>::infinity();
    bool first = true;
    for (const std::size_t i : order) {
      if (layers[i] != kNone || !(first || points[i].loss < best)) continue;
      layers[i] = layer;
      best = points[i].loss;
      first = false;
      --left;
    }
  }
  return layers;
}

std::vector<std::size_t> choose_by_layer(std::span<const TradeOff> points, std::size_t count) {
  const std::vector<std::size_t> layers = pareto_layers(points);
  const std::vector<std::size_t> order = by_cost(points);
  std::vector<std::size_t> chosen;
  for (std::size_t layer = 0; chosen.size() < std::min(count, points.size()); ++layer) {
    std::vector<std::size_t> members;
    std::copy_if(order.begin(), order.end(), std::back_inserter(members),
                 [&](std::size_t i) { return layers[i] == layer; });
    const std::size_t room = count - chosen.size();
    if (members.size() <= room) {
      chosen.insert(chosen.end(), members.begin(), members.end());
      continue;
    }
    for (std::size_t i = 0; i < room; ++i) {
      const double share = room == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(room - 1);
      chosen.push_back(members[static_cast<std::size_t>(
          std::lround(share * static_cast<double>(members.size() - 1)))]);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace bw
