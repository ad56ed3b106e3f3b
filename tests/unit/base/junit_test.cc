#include "base/junit.h"

#include <gtest/gtest.h>

#include <array>

namespace bw {
namespace {

TEST(JunitDocument, FailuresAndSkips_AreCountedAndNamed) {
  const std::array suites = {
      JunitSuite{"first",
                 {{"a", "one", "", ""}, {"a", "two", "is 3", ""}, {"a", "three", "", "no GPU"}}},
      JunitSuite{"second", {}}};
  EXPECT_EQ(junit_document(suites), R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" skipped="1">
  <testsuite name="first" tests="3" failures="1" skipped="1">
    <testcase classname="a" name="one"/>
    <testcase classname="a" name="two">
      <failure message="is 3"/>
    </testcase>
    <testcase classname="a" name="three">
      <skipped message="no GPU"/>
    </testcase>
  </testsuite>
  <testsuite name="second" tests="0" failures="0">
  </testsuite>
</testsuites>
)");
}

TEST(JunitDocument, SpecialCharacters_AreEscapedOrReplaced) {
  const std::array suites = {JunitSuite{"s", {{"<&\">", "\x01 \xff", "", ""}, {"ü", "x", "", ""}}}};
  const std::string document = junit_document(suites);
  EXPECT_NE(document.find(R"(classname="&lt;&amp;&quot;&gt;" name="? ?")"), std::string::npos)
      << document;
  EXPECT_NE(document.find(R"(classname="ü")"), std::string::npos);
}

}  // namespace
}  // namespace bw
