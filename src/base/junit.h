// JUnit's XML of test results, which CI systems show.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace bw {

struct JunitCase {
  std::string group;  // what the test belongs to ("classname")
  std::string name;
  std::string failure;  // why it failed; empty: it did not
  std::string skipped;  // why it was not run; empty: it was
};

struct JunitSuite {
  std::string name;
  std::vector<JunitCase> cases;
};

// A <testsuites> document in UTF-8; bytes that XML cannot hold become '?'.
[[nodiscard]] std::string junit_document(std::span<const JunitSuite> suites);

}  // namespace bw
