#include "run/polynomial_fit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {

// Columns x^degree … x^0, each scaled to length 1 so that their sizes do not decide the rank.
std::vector<double> fit_polynomial(std::span<const double> x, std::span<const double> y,
                                   int degree) {
  BW_CHECK(x.size() == y.size() && x.size() > static_cast<std::size_t>(degree));
  const auto count = static_cast<std::int64_t>(x.size());
  const at::Tensor points = at::empty({count}, at::kDouble);
  const at::Tensor values = at::empty({count, 1}, at::kDouble);
  std::copy(x.begin(), x.end(), points.mutable_data_ptr<double>());
  std::copy(y.begin(), y.end(), values.mutable_data_ptr<double>());
  std::vector<at::Tensor> columns;
  for (int power = degree; power >= 0; --power) columns.push_back(points.pow(power));
  const at::Tensor matrix = at::stack(columns, 1);
  const at::Tensor lengths = matrix.norm(2, 0, true);  // [1, degree + 1]
  const double rcond = static_cast<double>(count) * std::numeric_limits<double>::epsilon();
  const auto [solution, residuals, rank, singular] =
      at::linalg_lstsq(matrix / lengths, values, rcond, "gelsd");
  const at::Tensor coefficients = (solution.flatten() / lengths.flatten()).contiguous();
  const double* first = coefficients.const_data_ptr<double>();
  return {first, first + coefficients.numel()};
}

double polynomial_value(std::span<const double> coefficients, double x) {
  double value = 0;
  for (const double coefficient : coefficients) value = value * x + coefficient;
  return value;
}

}  // namespace bw
