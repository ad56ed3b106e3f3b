#include "quality/junit.h"

#include <algorithm>

#include "base/junit.h"

namespace bw {
namespace {

bool is_same(const Gate& a, const Gate& b) {
  return a.metric == b.metric && a.statistic == b.statistic && a.min == b.min && a.max == b.max;
}

}  // namespace

std::string junit_xml(const std::string& suite, std::span<const Gate> gates,
                      std::span<const JudgedClip> clips) {
  JunitSuite all{suite, {}};
  for (const JudgedClip& judged : clips) {
    for (const Gate& gate : gates) {
      JunitCase& row = all.cases.emplace_back();
      row.group = judged.clip;
      row.name = describe(gate);
      const auto violation = std::ranges::find_if(
          judged.violations,
          [&](const GateViolation& candidate) { return is_same(candidate.gate, gate); });
      if (violation != judged.violations.end()) row.failure = violation->message;
    }
  }
  return junit_document({&all, 1});
}

}  // namespace bw
