#include "page/html.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "page/data_uri.h"
#include "page/document.h"
#include "page/tables.h"
#include "support/markup.h"

namespace bw {
namespace {

struct EscapeRow {
  const char* why;
  std::string text;
  std::string expected;
};

class EscapeMarkup : public ::testing::TestWithParam<EscapeRow> {};

TEST_P(EscapeMarkup, Text_BecomesHarmless) {
  EXPECT_EQ(escape_markup(GetParam().text), GetParam().expected) << GetParam().why;
}

INSTANTIATE_TEST_SUITE_P(
    Texts, EscapeMarkup,
    ::testing::Values(
        EscapeRow{"nothing to do", "a red fox", "a red fox"},
        EscapeRow{"a prompt must not run", "<script>alert(1)</script>",
                  "&lt;script&gt;alert(1)&lt;/script&gt;"},
        EscapeRow{"an attribute must not end early", R"(a "b" 'c')", "a &quot;b&quot; &#39;c&#39;"},
        EscapeRow{"what is escaped already is text too", "&lt;", "&amp;lt;"},
        EscapeRow{"UTF-8 stays", "ein Fuchs läuft 猫 🦊", "ein Fuchs läuft 猫 🦊"},
        EscapeRow{"bytes of another encoding",
                  "f\xFC"
                  "chs",
                  "f\xEF\xBF\xBD"
                  "chs"},
        EscapeRow{"a control character is none of XML", std::string("a\x01\0b", 4),
                  "a\xEF\xBF\xBD\xEF\xBF\xBD"
                  "b"},
        EscapeRow{"lines stay lines", "a\n\tb", "a\n\tb"}));

TEST(NumberTexts, Values_AreShort) {
  EXPECT_EQ(coordinate(12.0), "12");
  EXPECT_EQ(coordinate(12.504), "12.5");
  EXPECT_EQ(coordinate(-0.001), "0");
  EXPECT_EQ(coordinate(100), "100");
  EXPECT_EQ(number_text(0.0720291), "0.07203");
  EXPECT_EQ(number_text(12345), "12345");
  EXPECT_EQ(percent_text(0.4167), "42 %");
  EXPECT_EQ(percent_text(0.001), "<1 %");
  EXPECT_EQ(percent_text(0.999), ">99 %");
  EXPECT_EQ(percent_text(1), "100 %");
  EXPECT_EQ(seconds_text(0), "0 s");
  EXPECT_EQ(seconds_text(0.0123), "12.3 ms");
  EXPECT_EQ(seconds_text(3.214), "3.21 s");
  EXPECT_EQ(seconds_text(1234), "1234 s");
}

TEST(Markup, Elements_NestAndEscape) {
  Markup out;
  out.open("p", {{"class", "a\"b"}}).text("1 < 2").empty("br").element("b", "&").close();
  EXPECT_EQ(out.take(), "<p class=\"a&quot;b\">1 &lt; 2<br/><b>&amp;</b></p>");
}

TEST(Markup, UnbalancedElements_AreABug) {
  Markup open;
  open.open("p");
  EXPECT_THROW((void)open.take(), InternalError);
  Markup closed;
  EXPECT_THROW(closed.close(), InternalError);
}

// The examples of RFC 4648, section 10.
TEST(DataUri, Bytes_AreBase64) {
  EXPECT_EQ(data_uri("a/b", ""), "data:a/b;base64,");
  EXPECT_EQ(data_uri("a/b", "f"), "data:a/b;base64,Zg==");
  EXPECT_EQ(data_uri("a/b", "fo"), "data:a/b;base64,Zm8=");
  EXPECT_EQ(data_uri("a/b", "foobar"), "data:a/b;base64,Zm9vYmFy");
}

TEST(DataUri, LongBytes_AreJoinedWithoutPadding) {
  const std::size_t size = (std::size_t{3} << 20) + 1;  // one more than is encoded at once
  const std::string uri = data_uri("a/b", std::string(size, 'a'));
  EXPECT_EQ(uri.size(), std::string("data:a/b;base64,").size() + (size + 2) / 3 * 4);
  EXPECT_EQ(uri.find('='), uri.size() - 2);
}

TEST(Document, Sections_HaveAnchorsAndEscapedHeadings) {
  Document page("a <b>", "run");
  page.facts({{"42 %", "reused"}});
  page.notice("no frames & no clip");
  page.section("One", "How to read it.", "<p>content</p>");
  page.section("Two", "And this.", "");
  const std::string html = page.finish();
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_EQ(testing::count_of(html, "<h1>a &lt;b&gt;</h1>"), 1U);
  EXPECT_EQ(testing::count_of(html, "no frames &amp; no clip"), 1U);
  EXPECT_EQ(testing::count_of(html, "href=\"#part-2\""), 1U);
  EXPECT_EQ(testing::count_of(html, "id=\"part-2\""), 1U);
  EXPECT_EQ(testing::count_of(html, "<p>content</p>"), 1U);
  EXPECT_EQ(testing::count_of(html, "<script"), 0U);
}

TEST(ValueTable, NestedValues_HaveTheirSource) {
  const Json values = {{"steps", 12}, {"cache", {{"policy", "none"}, {"params", Json::object()}}}};
  const Table table = value_table(values, {{"steps", "--steps"}});
  ASSERT_EQ(table.heading, (std::vector<std::string>{"name", "value", "from"}));
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"steps", "12", "--steps"}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"cache.policy", "none", ""}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"cache.params", "{}", ""}));
  EXPECT_EQ(value_table(values, Json::object()).heading.size(), 2U);
}

}  // namespace
}  // namespace bw
