#include "run/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw::testing {
namespace {

using ::testing::ElementsAre;

TEST(ParetoLayers, PointsByHand_AreOnTheirFronts) {
  const std::vector<TradeOff> points = {{1, 9}, {2, 5}, {2, 6}, {3, 5}, {4, 1}, {5, 0.5}, {5, 7}};
  // {2,6} is beaten by {2,5}; {3,5} by {2,5}; {5,7} by {2,5} and by {2,6}.
  EXPECT_THAT(pareto_layers(points), ElementsAre(0, 0, 1, 1, 0, 0, 2));
}

TEST(ParetoLayers, EqualPoints_TheFirstIsOnTheFront) {
  const std::vector<TradeOff> points = {{1, 1}, {1, 1}, {1, 1}};
  EXPECT_THAT(pareto_layers(points), ElementsAre(0, 1, 2));
}

TEST(ParetoLayers, NotANumber_EndsAndComesLast) {
  const std::vector<TradeOff> points = {{1, std::nan("")}, {2, 1}};
  EXPECT_EQ(pareto_layers(points).size(), 2);
  EXPECT_TRUE(pareto_layers({}).empty());
}

TEST(ChooseByLayer, FrontThatFits_ComesWhole) {
  const std::vector<TradeOff> points = {{3, 3}, {1, 9}, {2, 5}, {4, 1}, {9, 9}};
  EXPECT_THAT(choose_by_layer(points, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(choose_by_layer(points, 9), ElementsAre(0, 1, 2, 3, 4));
}

TEST(ChooseByLayer, FrontThatDoesNotFit_IsSpreadOverItsCosts) {
  std::vector<TradeOff> points;
  for (int i = 0; i < 9; ++i) points.push_back({static_cast<double>(i), 10.0 - i});
  EXPECT_THAT(choose_by_layer(points, 3), ElementsAre(0, 4, 8));
  EXPECT_THAT(choose_by_layer(points, 1), ElementsAre(4));
  EXPECT_TRUE(choose_by_layer(points, 0).empty());
}

}  // namespace
}  // namespace bw::testing
