// A polynomial as a parameter of a policy: text such as "10;2;0.01", the highest power first.
#pragma once

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"

namespace bw {

inline constexpr std::string_view kPolynomialForm =
    "none, or coefficients with the highest power first: a;b;c …";

class Polynomial {
 public:
  // Rejects a text of another form.
  [[nodiscard]] static Polynomial parse(const std::string& text, const Origin& origin) {
    Polynomial polynomial;
    if (text == "none") return polynomial;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ';');) {
      char* end = nullptr;
      const double value = std::strtod(part.c_str(), &end);
      if (part.empty() || *end != '\0' || !std::isfinite(value)) {
        reject(origin, "'" + part + "' is no coefficient; must be " + std::string(kPolynomialForm));
      }
      polynomial.coefficients_.push_back(value);
    }
    if (polynomial.is_none()) reject(origin, "must be " + std::string(kPolynomialForm));
    return polynomial;
  }

  [[nodiscard]] bool is_none() const { return coefficients_.empty(); }

  // 0 for none.
  [[nodiscard]] double at(double x) const {
    double value = 0;
    for (const double coefficient : coefficients_) value = value * x + coefficient;
    return value;
  }

  // A fitted polynomial is wild outside the range it was fitted on: below 0 counts as 0. NaN stays.
  [[nodiscard]] double rescaled(double x) const {
    if (is_none()) return x;
    const double value = at(x);
    return value < 0 ? 0 : value;
  }

 private:
  std::vector<double> coefficients_;
};

}  // namespace bw
