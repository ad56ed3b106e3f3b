#include "base/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error.h"

namespace bw {
namespace {

using testing::HasSubstr;

struct Example final : Params {
  double threshold = 0.1;
  std::int64_t interval = 3;
  bool strict = false;
  std::string mode = "once";
  std::string blocks = "all";
  void visit(ParamVisitor& visitor) override {
    static constexpr std::array<std::string_view, 2> kModes = {"once", "every"};
    visitor.number({"threshold", "limit"}, threshold, {0, 1});
    visitor.integer({"interval", "steps"}, interval, {1, 100});
    visitor.flag({"strict", "no mercy"}, strict);
    visitor.choice({"mode", "when"}, mode, kModes);
    visitor.text({"blocks", "which"}, blocks, "all or a list");
  }
};

std::string message_of(const Json& object, const Origin& origin = Origin::file("c.json: cache")) {
  Example params;
  try {
    read_params(params, object, origin);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Params_Read, JsonAndTexts_GiveTheSame) {
  Example from_json;
  Example from_text;
  read_params(from_json, {{"threshold", 0.25}, {"interval", 5}, {"strict", true}},
              Origin::file("x"));
  read_params(from_text,
              parse_key_values("threshold=0.25,interval=5,strict=true", Origin::flag("--cache")),
              Origin::flag("--cache"));
  EXPECT_EQ(params_to_json(from_json), params_to_json(from_text));
  EXPECT_EQ(from_json.interval, 5);
}

TEST(Params_Read, List_BecomesText) {
  Example params;
  read_params(params, {{"blocks", {0, 3, 5}}}, Origin::file("x"));
  EXPECT_EQ(params.blocks, "0+3+5");
}

struct BadCase {
  Json object;
  std::string message;
  std::string why;
};

TEST(Params_Read, BadValues_AreNamed) {
  const std::vector<BadCase> cases = {
      {{{"threshold", -0.1}}, "threshold: must satisfy 0 <= x <= 1, got -0.1", "below the range"},
      {{{"threshold", "nan"}}, "threshold: must satisfy", "NaN passes no comparison"},
      {{{"threshold", "inf"}}, "threshold: must satisfy", "infinite"},
      {{{"threshold", "0.1x"}}, "threshold: must be a number", "trailing text"},
      {{{"threshold", nullptr}}, "threshold: must be a number", "null"},
      {{{"interval", 2.5}}, "interval: must be an integer", "not whole"},
      {{{"interval", 0}}, "interval: must satisfy 1", "below the range"},
      {{{"strict", "maybe"}}, "strict: must be true or false", "no truth value"},
      {{{"mode", "evry"}}, "did you mean 'every'?", "typo"},
      {{{"treshold", 1}}, "did you mean 'threshold'?", "unknown key"},
  };
  for (const BadCase& bad : cases)
    EXPECT_THAT(message_of(bad.object), HasSubstr(bad.message)) << bad.why;
}

TEST(Params_KeyValues, Malformed_IsUsageError) {
  const Origin origin = Origin::flag("--cache");
  EXPECT_THROW((void)parse_key_values("threshold", origin), UsageError);
  EXPECT_THROW((void)parse_key_values("=1", origin), UsageError);
  EXPECT_THROW((void)parse_key_values("a=1,a=2", origin), UsageError);
  EXPECT_EQ(parse_key_values("", origin), Json::object());
}

TEST(Params_Describe, ListsEveryField) {
  const std::vector<ParamInfo> infos = describe_params(Example());
  ASSERT_EQ(infos.size(), 5U);
  EXPECT_EQ(infos[0].range, "0 <= x <= 1");
  EXPECT_EQ(infos[3].range, "once | every");
  EXPECT_EQ(infos[3].default_value, "once");
}

}  // namespace
}  // namespace bw
