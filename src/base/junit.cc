#include "base/junit.h"

#include "base/files.h"

namespace bw {
namespace {

// For an attribute's value between double quotes.
std::string escaped(const std::string& text) {
  const bool is_text = is_valid_utf8(text);
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 || (byte > 127 && !is_text)) {
      result += '?';
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string element(const char* name, const std::string& message) {
  std::string text = ">\n      <";
  text += name;
  text += " message=\"" + escaped(message);
  return text += "\"/>\n    </testcase>\n";
}

std::string case_text(const JunitCase& junit_case) {
  std::string text = "    <testcase classname=\"" + escaped(junit_case.group);
  text += "\" name=\"" + escaped(junit_case.name) + "\"";
  if (!junit_case.failure.empty()) return text += element("failure", junit_case.failure);
  if (!junit_case.skipped.empty()) return text += element("skipped", junit_case.skipped);
  return text += "/>\n";
}

struct Totals {
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t skipped = 0;
};

void add(const JunitSuite& suite, Totals& totals) {
  for (const JunitCase& junit_case : suite.cases) {
    ++totals.tests;
    if (!junit_case.failure.empty()) {
      ++totals.failures;
    } else if (!junit_case.skipped.empty()) {
      ++totals.skipped;
    }
  }
}

std::string attributes(const Totals& totals) {
  std::string text = " tests=\"" + std::to_string(totals.tests);
  text += "\" failures=\"" + std::to_string(totals.failures);
  if (totals.skipped > 0) text += "\" skipped=\"" + std::to_string(totals.skipped);
  return text += "\"";
}

}  // namespace

std::string junit_document(std::span<const JunitSuite> suites) {
  Totals all;
  std::string body;
  for (const JunitSuite& suite : suites) {
    Totals own;
    add(suite, own);
    add(suite, all);
    body += "  <testsuite name=\"" + escaped(suite.name) + "\"" + attributes(own) + ">\n";
    for (const JunitCase& junit_case : suite.cases) body += case_text(junit_case);
    body += "  </testsuite>\n";
  }
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites";
  return text += attributes(all) + ">\n" + body + "</testsuites>\n";
}

}  // namespace bw
