#include "quality/junit.h"

#include <algorithm>

#include "base/files.h"

namespace bw {
namespace {

std::string escaped(std::string text) {
  if (!is_valid_utf8(text)) {
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) > 127; }, '?');
  }
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 32 ? '?' : c;
    }
  }
  return result;
}

std::string counts(std::size_t tests, std::size_t failures) {
  return " tests=\"" + std::to_string(tests) + "\" failures=\"" + std::to_string(failures) + "\"";
}

bool is_same(const Gate& a, const Gate& b) {
  return a.metric == b.metric && a.statistic == b.statistic && a.min == b.min && a.max == b.max;
}

}  // namespace

std::string junit_xml(const std::string& suite, std::span<const Gate> gates,
                      std::span<const JudgedClip> clips) {
  std::size_t failures = 0;
  std::string cases;
  for (const JudgedClip& judged : clips) {
    for (const Gate& gate : gates) {
      cases += "    <testcase classname=\"" + escaped(judged.clip);
      cases += "\" name=\"" + escaped(describe(gate)) + "\"";
      const auto violation = std::ranges::find_if(
          judged.violations,
          [&](const GateViolation& candidate) { return is_same(candidate.gate, gate); });
      if (violation == judged.violations.end()) {
        cases += "/>\n";
        continue;
      }
      ++failures;
      cases += ">\n      <failure message=\"" + escaped(violation->message);
      cases += "\"/>\n    </testcase>\n";
    }
  }
  const std::string totals = counts(gates.size() * clips.size(), failures);
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" + totals;
  xml += ">\n  <testsuite name=\"" + escaped(suite) + "\"" + totals + ">\n" + cases;
  return xml += "  </testsuite>\n</testsuites>\n";
}

}  // namespace bw
