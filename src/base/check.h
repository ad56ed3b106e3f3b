// BW_CHECK states an invariant; a failure is a bug of the program, not of its user (see
// base/error.h for those).
#pragma once

#include <string>

#include "base/error.h"

namespace bw {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line,
                                      const std::string& message) {
  throw InternalError(std::string("internal error at ") + file + ":" + std::to_string(line) + ": " +
                      expression + (message.empty() ? "" : ": " + message));
}

}  // namespace bw

#define BW_CHECK(condition, ...)                                                      \
  do {                                                                                \
    if (!(condition)) {                                                               \
      ::bw::check_failed(#condition, __FILE__, __LINE__, ::std::string(__VA_ARGS__)); \
    }                                                                                 \
  } while (false)
