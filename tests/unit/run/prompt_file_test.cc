#include "run/prompt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"

namespace bw::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::filesystem::path file_of(const std::string& name, const std::string& text) {
  std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

std::string refusal(const std::string& name, const std::string& text) {
  try {
    (void)read_prompts(file_of(name, text));
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ReadPrompts, Lines_SkipCommentsAndEmptyOnes) {
  EXPECT_THAT(read_prompts(file_of("a.txt", "# ours\na fox\r\n\nzwei Füchse\n")),
              ElementsAre("a fox", "zwei Füchse"));
}

TEST(ReadPrompts, Objects_GiveTheirPrompt) {
  EXPECT_THAT(read_prompts(file_of("a.jsonl", R"({"id": 1, "prompt": "a fox"})"
                                              "\n")),
              ElementsAre("a fox"));
}

TEST(ReadPrompts, BrokenLine_IsNamedByNumber) {
  EXPECT_THAT(refusal("b.txt", "a fox\n\xff\xfe\n"), HasSubstr("line 2: is no valid UTF-8"));
  EXPECT_THAT(refusal("c.txt", "a\n" + std::string(10001, 'x') + "\n"),
              HasSubstr("line 2: is 10001"));
  EXPECT_THAT(refusal("d.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("e.jsonl", "{\"prmpt\": \"a\"}\n"), HasSubstr("prompt"));
  EXPECT_THAT(refusal("f.txt", "# nothing\n"), HasSubstr("holds no prompt"));
}

TEST(ParseSeeds, Lists_AreReadOrRefused) {
  EXPECT_THAT(parse_seeds("1,2,30", "--seeds"), ElementsAre(1, 2, 30));
  for (const char* text : {"", "1,,2", "1,x", "-1", "1.5", "2,2"}) {
    EXPECT_THROW((void)parse_seeds(text, "--seeds"), UsageError) << text;
  }
}

}  // namespace
}  // namespace bw::testing
