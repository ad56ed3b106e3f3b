#include "base/text.h"

#include <array>
#include <cstdio>

namespace bw {

std::string significant(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*g", digits, value);
  return text.data();
}

}  // namespace bw
