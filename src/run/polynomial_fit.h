// Least squares. Used by calibrations/teacache.cc.
#pragma once

#include <span>
#include <vector>

namespace bw {

// Coefficients, highest power first, of the polynomial that is nearest to y at x in the sum of
// squares, as numpy.polyfit gives them; in f64. x and y are of one size, which is above `degree`.
[[nodiscard]] std::vector<double> fit_polynomial(std::span<const double> x,
                                                 std::span<const double> y, int degree);

// The value at x of a polynomial with the highest power first.
[[nodiscard]] double polynomial_value(std::span<const double> coefficients, double x);

}  // namespace bw
