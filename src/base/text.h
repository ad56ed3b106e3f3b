// Numbers as people read them.
#pragma once

#include <string>

namespace bw {

// With at most this many significant digits, as printf's %g.
[[nodiscard]] std::string significant(double value, int digits);

}  // namespace bw
