#include "run/prompt_reading.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace bw {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

const PromptAttribute kLight{"light", {"day", "night"}};

// Logits whose softmax is these probabilities.
at::Tensor logits(const std::vector<double>& probabilities) {
  return at::tensor(probabilities).log().add(3.0).to(at::kFloat);
}

std::shared_ptr<const Bundle> tiny() {
  return Bundle::load(Bundle::open(BW_TEST_DATA "/bundles/tiny-wan"),
                      {.with_denoiser = false, .with_decoder = false});
}

TEST(ReadAttribute_Probabilities, AreThoseOfTheSoftmax) {
  const AttributeReading reading = read_attribute(kLight, logits({0.07, 0.9, 0.03}));
  EXPECT_EQ(reading.name, "light");
  EXPECT_THAT(reading.best.value, Optional(std::string("night")));
  EXPECT_NEAR(reading.best.probability, 0.9, 1e-6);
  EXPECT_THAT(reading.next.value, Optional(std::string("day")));
  EXPECT_NEAR(reading.next.probability, 0.07, 1e-6);
}

TEST(ReadAttribute_LastClass, IsNotMentioned) {
  const AttributeReading reading = read_attribute(kLight, logits({0.01, 0.02, 0.97}));
  EXPECT_EQ(reading.best.value, std::nullopt);
  EXPECT_NEAR(reading.best.probability, 0.97, 1e-6);
}

TEST(ReadAttribute_Limit, DividesSureFromUnsure) {
  EXPECT_TRUE(read_attribute(kLight, logits({0.899, 0.1, 0.001})).is_unsure());
  EXPECT_FALSE(read_attribute(kLight, logits({0.901, 0.098, 0.001})).is_unsure());
}

TEST(ReadPrompt_TinyWan, FindsItsUnknownWords) {
  const PromptReading reading = read_prompt(*tiny(), "  a red fox  runs zigzag, zigzag! ");
  EXPECT_EQ(reading.prompt, "a red fox runs zigzag, zigzag!");
  EXPECT_EQ(reading.cut_tokens, 0);
  ASSERT_TRUE(reading.unknown_words.has_value());
  EXPECT_THAT(*reading.unknown_words, ElementsAre("zigzag"));
  ASSERT_EQ(reading.attributes.size(), 2U);
  EXPECT_EQ(reading.attributes[0].name, "subject");
}

TEST(ReadingToJson_WhatABundleCannotTell, IsNull) {
  PromptReading reading;
  reading.prompt = "x";
  Json json = reading_to_json(reading);
  EXPECT_TRUE(json.at("attributes").is_null());
  EXPECT_TRUE(json.at("unknown_words").is_null());
  reading.unknown_words.emplace();
  reading.attributes = {{"light", {"day", 0.6}, {std::nullopt, 0.3}}};
  json = reading_to_json(reading);
  EXPECT_EQ(json.at("unknown_words"), Json::array());
  EXPECT_EQ(json.at("attributes")[0].dump(),
            R"({"name":"light","value":"day","probability":0.6,"unsure":true,)"
            R"("next":{"value":null,"probability":0.3}})");
}

}  // namespace
}  // namespace bw
