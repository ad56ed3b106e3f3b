// Gates as JUnit XML, which CI systems show: one test case per gate and clip. Read gate.h for
// gates.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "quality/gate.h"

namespace bw {

struct JudgedClip {
  std::string clip;
  std::vector<GateViolation> violations;  // of the gates given beside it
};

// A <testsuites> document in UTF-8. Every clip was judged by every gate; characters that XML cannot
// hold become '?'.
[[nodiscard]] std::string junit_xml(const std::string& suite, std::span<const Gate> gates,
                                    std::span<const JudgedClip> clips);

}  // namespace bw
