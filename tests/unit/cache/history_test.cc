#include "cache/history.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

Sample sample(std::int64_t step, std::int64_t floats = 4) {
  return {step, {at::full({floats}, static_cast<double>(step))}};
}

TEST(History_Push, RingOfDepth_KeepsTheNewest) {
  History history;
  const CacheKey key{.slot = Slot::kStack};
  for (const std::int64_t step : {0, 1, 5}) {
    history.make_room(key, 2);
    history.push(key, sample(step));
  }
  ASSERT_EQ(history.find(key).size(), 2U);
  EXPECT_EQ(history.find(key)[0].step, 5);
  EXPECT_EQ(history.find(key)[1].step, 1);
}

TEST(History_Bytes, MakeRoomBeforePush_PeakIsTheRing) {
  History history;
  const CacheKey key{.slot = Slot::kStack};
  for (std::int64_t step = 0; step < 10; ++step) {
    history.make_room(key, 3);
    history.push(key, sample(step));
  }
  EXPECT_EQ(history.bytes(), 3U * 16);
  EXPECT_EQ(history.peak_bytes(), 3U * 16);
  history.drop_if([](const CacheKey&) { return true; });
  EXPECT_EQ(history.bytes(), 0U);
  EXPECT_EQ(history.peak_bytes(), 3U * 16);
}

TEST(History_Find, KeysThatDifferInOnePart_AreApart) {
  const CacheKey key{Slot::kBlock, 0, 0, Branch::kCond, 0};
  const CacheKey others[] = {{Slot::kSignal, 0, 0, Branch::kCond, 0},
                             {Slot::kBlock, 1, 0, Branch::kCond, 0},
                             {Slot::kBlock, 0, 1, Branch::kCond, 0},
                             {Slot::kBlock, 0, 0, Branch::kUncond, 0},
                             {Slot::kBlock, 0, 0, Branch::kCond, 1}};
  History history;
  history.push(key, sample(0));
  for (const CacheKey& other : others) EXPECT_TRUE(history.find(other).empty());
  EXPECT_EQ(history.find(key).size(), 1U);
}

TEST(History_DropIf, Predicate_DropsWholeRings) {
  History history;
  history.push({.slot = Slot::kStack, .branch = Branch::kCond}, sample(0, 2));
  history.push({.slot = Slot::kStack, .branch = Branch::kUncond}, sample(0, 6));
  history.drop_if([](const CacheKey& key) { return key.branch == Branch::kUncond; });
  EXPECT_EQ(history.bytes(), 8U);
  EXPECT_TRUE(history.find({.slot = Slot::kStack, .branch = Branch::kUncond}).empty());
}

TEST(History_Push, Tensor_IsHeldNotCopied) {
  History history;
  const at::Tensor tensor = at::ones({8});
  history.push({}, {0, {tensor}});
  EXPECT_TRUE(history.find({})[0].value[0].is_same(tensor));
}

}  // namespace
}  // namespace bw
