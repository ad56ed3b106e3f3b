#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace bw {
namespace {

using testing::HasSubstr;

template <typename Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const Origin kFile = Origin::file("fox.json: ");

TEST(Json_Parse, DuplicateKey_NamesIt) {
  const auto parse = [] { (void)parse_json(R"({"a": {"b": 1, "b": 2}})", kFile); };
  EXPECT_THAT(message_of(parse), HasSubstr("'b' appears twice"));
}

TEST(Json_Parse, SameKeyInTwoObjects_IsFine) {
  EXPECT_NO_THROW((void)parse_json(R"([{"b": 1}, {"b": 2}])", kFile));
}

TEST(Json_Parse, Malformed_NamesLine) {
  const auto parse = [] { (void)parse_json("{\n\"a\": 1,\n}", kFile); };
  EXPECT_THAT(message_of(parse), HasSubstr("line 3"));
}

TEST(Json_Parse, FileAndFlag_HaveTheirExitCodes) {
  EXPECT_THROW((void)parse_json("{", kFile), InputError);
  EXPECT_THROW((void)parse_json("{", Origin::flag("--config")), UsageError);
}

TEST(Json_Object, UnknownKey_SuggestsNearest) {
  const Json json = parse_json(R"({"stpes": 3})", kFile);
  const auto read = [&] {
    JsonObject object(json, kFile);
    (void)object.find("steps");
    object.finish();
  };
  EXPECT_THAT(message_of(read), HasSubstr("fox.json: stpes: unknown key; did you mean 'steps'?"));
}

TEST(Json_Object, WrongType_NamesPathAndTypes) {
  const Json json = parse_json(R"({"steps": "many"})", kFile);
  const auto read = [&] { (void)JsonObject(json, kFile).integer("steps"); };
  EXPECT_EQ(message_of(read), "fox.json: steps: must be an integer, got text");
}

TEST(Json_Object, Missing_NamesPath) {
  const Json json = parse_json("{}", kFile);
  const auto read = [&] { (void)JsonObject(json, kFile.at("latent")).integer("channels"); };
  EXPECT_EQ(message_of(read), "fox.json: latent.channels: is missing");
}

}  // namespace
}  // namespace bw
