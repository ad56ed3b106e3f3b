#include "cache/amounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"

namespace bw {
namespace {

using ::testing::ElementsAre;

const Origin kOrigin = Origin::file("config.json: cache.amount");

TEST(StepCount_Text, NumberOrPercentage_IsResolved) {
  EXPECT_EQ(step_count("3", 50, kOrigin), 3);
  EXPECT_EQ(step_count("10%", 30, kOrigin), 3);
  EXPECT_EQ(step_count("10%", 4, kOrigin), 1) << "at least one";
  EXPECT_EQ(step_count("12.5%", 40, kOrigin), 5);
  EXPECT_EQ(step_count("100%", 7, kOrigin), 7);
}

TEST(StepCount_Text, BadForm_IsRejected) {
  for (const char* text : {"", "0", "-1", "1.5", "0%", "101%", "ten", "%", "nan%", "3 "}) {
    EXPECT_THROW(check_step_count(text, kOrigin), InputError) << text;
  }
}

TEST(BlockCount_Text, NumberOrPercentage_IsResolved) {
  EXPECT_EQ(block_count("14", 28, kOrigin), 14);
  EXPECT_EQ(block_count("50%", 28, kOrigin), 14);
  EXPECT_EQ(block_count("50%", 3, kOrigin), 2);
  EXPECT_EQ(block_count("1%", 4, kOrigin), 1) << "at least one";
  for (const char* text : {"", "0", "-1", "1.5", "0%", "101%", "all", "29"}) {
    EXPECT_THROW((void)block_count(text, 28, kOrigin), InputError) << text;
  }
}

TEST(BlockSet_Text, AllFractionOrList_IsResolved) {
  EXPECT_THAT(block_set("all", 4, kOrigin), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(block_set("50%", 4, kOrigin), ElementsAre(1, 3)) << "middles of two halves";
  EXPECT_THAT(block_set("25%", 12, kOrigin), ElementsAre(2, 6, 10));
  EXPECT_THAT(block_set("1%", 12, kOrigin), ElementsAre(6)) << "at least one";
  EXPECT_THAT(block_set("5+0+3+5", 6, kOrigin), ElementsAre(0, 3, 5)) << "ascending, each once";
  EXPECT_THAT(block_set("2", 6, kOrigin), ElementsAre(2));
}

TEST(BlockSet_Text, EveryFraction_GivesDistinctBlocksOfTheModel) {
  for (std::size_t num_blocks = 1; num_blocks <= 40; ++num_blocks) {
    for (int percent = 1; percent <= 100; ++percent) {
      const std::vector<std::size_t> blocks =
          block_set(std::to_string(percent) + "%", num_blocks, kOrigin);
      ASSERT_FALSE(blocks.empty());
      EXPECT_LT(blocks.back(), num_blocks);
      EXPECT_TRUE(std::adjacent_find(blocks.begin(), blocks.end(), std::greater_equal<>()) ==
                  blocks.end());
    }
  }
}

TEST(BlockSet_Text, BadForm_IsRejected) {
  for (const char* text : {"", "some", "0%", "150%", "1+", "+1", "1,2", "-1", "1.5"}) {
    EXPECT_THROW(check_block_set(text, kOrigin), InputError) << text;
  }
  EXPECT_THROW((void)block_set("0+6", 6, kOrigin), InputError) << "the last block is 5";
}

TEST(StepList_Text, StepsAndRanges_Ascend) {
  EXPECT_THAT(step_list("7-9+3+4+8", kOrigin), ElementsAre(3, 4, 7, 8, 9));
  EXPECT_THAT(step_list("", kOrigin), ElementsAre());
  for (const char* text : {"a", "3-", "-3", "4-2", "1++2", "0-99999999999"}) {
    EXPECT_THROW((void)step_list(text, kOrigin), InputError) << text;
  }
}

}  // namespace
}  // namespace bw
