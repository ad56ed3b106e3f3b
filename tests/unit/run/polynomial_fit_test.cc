// Least squares against numpy 2.4: numpy.polyfit(x, y, 4).
#include "run/polynomial_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

const std::vector<double> kX = {0.02, 0.05, 0.08, 0.11, 0.15, 0.2, 0.26, 0.31};
const std::vector<double> kY = {0.1, 0.13, 0.2, 0.22, 0.31, 0.35, 0.5, 0.52};

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-8 * std::abs(expected[i])) << "coefficient " << i;
  }
}

TEST(PolynomialFit_Quartic, EightPoints_AsNumpy) {
  expect_near(fit_polynomial(kX, kY, 4),
              {-181.19032756763747, 107.15381148329625, -19.81822914816885, 2.7888399749640778,
               0.044758433307876724});
}

TEST(PolynomialFit_Quartic, FivePoints_AreMet) {
  const std::vector<double> x(kX.begin(), kX.begin() + 5);
  const std::vector<double> y(kY.begin(), kY.begin() + 5);
  const std::vector<double> found = fit_polynomial(x, y, 4);
  expect_near(found, {8150.183150183316, -2674.6031746032327, 293.8247863247929,
                      -10.791269841270116, 0.2183882783882818});
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(polynomial_value(found, x[i]), y[i], 1e-10);
  }
}

TEST(PolynomialValue, HighestPower_ComesFirst) {
  const std::vector<double> cubic = {2, 0, -1, 5};
  EXPECT_EQ(polynomial_value(cubic, 3), 56);  // 2·27 − 3 + 5
}

}  // namespace
}  // namespace bw
