// What a table was measured with against the run at hand: form, differences, what is not compared.
#include "cache/made_for.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/calibrated_table.h"

namespace bw {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const Origin kFlag = Origin::flag("--cache magcache: made_for");
const RunIdentity kRun = {{"model", "0123456789ab"}, {"steps", "30"}, {"sampler", "euler"}};

TEST(MadeFor_Text, OfTheRunItself_Passes) {
  EXPECT_EQ(made_for_text(kRun), "model=0123456789ab;sampler=euler;steps=30");
  EXPECT_NO_THROW(check_made_for(made_for_text(kRun), kRun, kFlag));
}

TEST(MadeFor_Check, Differences_AreAllNamedWithBothValues) {
  const auto check = [] { check_made_for("model=ffff;sampler=euler;steps=20", kRun, kFlag); };
  EXPECT_THAT(check, ThrowsMessage<UsageError>(HasSubstr("--cache magcache: made_for")));
  EXPECT_THAT(check, ThrowsMessage<UsageError>(HasSubstr("model=ffff (this run: 0123456789ab)")));
  EXPECT_THAT(check, ThrowsMessage<UsageError>(HasSubstr("steps=20 (this run: 30)")));
  EXPECT_THAT(check, ThrowsMessage<UsageError>(::testing::Not(HasSubstr("sampler"))));
  EXPECT_THAT(check, ThrowsMessage<UsageError>(HasSubstr("calibrate again")));
}

TEST(MadeFor_Check, NameThatNoRunHas_IsADifference) {
  EXPECT_THAT([] { check_made_for("weather=fine", kRun, kFlag); },
              ThrowsMessage<UsageError>(HasSubstr("weather=fine (which no run has)")));
}

TEST(MadeFor_Check, EmptyTextUnnamedKeysAndUnknownRun_AreNotCompared) {
  EXPECT_NO_THROW(check_made_for("", kRun, kFlag));
  EXPECT_NO_THROW(check_made_for("steps=30", kRun, kFlag));
  EXPECT_NO_THROW(check_made_for("steps=20", {}, kFlag));
}

TEST(MadeFor_Form, PairWithoutEquals_IsRefused) {
  EXPECT_NO_THROW(check_made_for_form("a=1;b=", kFlag));
  EXPECT_THROW(check_made_for_form("steps", kFlag), UsageError);
  EXPECT_THROW(check_made_for_form("=3", kFlag), UsageError);
}

TEST(CalibratedTable_Text, RoundTrip_KeepsRowsAndWhatIsUnknown) {
  const std::string text = "cond:-;0.5;1.25/uncond:1;-2e-05";
  const CalibratedTable table = CalibratedTable::parse(text, kFlag);
  EXPECT_EQ(table.text(), text);
  EXPECT_EQ(table.row("uncond", 2, kFlag)[1], -2e-5);
  EXPECT_FALSE(std::isfinite(table.row("cond", 3, kFlag)[0]));
  EXPECT_TRUE(CalibratedTable::parse("", kFlag).empty());
  EXPECT_TRUE(CalibratedTable::parse("a:", kFlag).row("a", 0, kFlag).empty());
}

TEST(CalibratedTable_Parse, BrokenText_IsRefusedWithTheRow) {
  for (const char* text : {"1;2", ":1", "a:1;;2", "a:1;x", "a:inf", "a:1/a:2", "a:1/"}) {
    EXPECT_THROW((void)CalibratedTable::parse(text, kFlag), UsageError) << text;
  }
  EXPECT_THAT([] { (void)CalibratedTable::parse("cond:1;two", kFlag); },
              ThrowsMessage<UsageError>(HasSubstr("row 'cond': 'two' is no number")));
}

TEST(CalibratedTable_Row, MissingOrOfAnotherLength_SaysWhatIsThere) {
  const CalibratedTable table = CalibratedTable::parse("cond:1;2", kFlag);
  EXPECT_THAT([&] { (void)table.row("uncond", 2, kFlag); },
              ThrowsMessage<UsageError>(HasSubstr("no row 'uncond'")));
  EXPECT_THAT([&] { (void)table.row("cond", 30, kFlag); },
              ThrowsMessage<UsageError>(HasSubstr("has 2 values, this run needs 30")));
}

TEST(CalibratedPolicies, WithoutATable_SayHowToMakeOne) {
  for (const CachePolicyInfo& info : cache_policies()) {
    if (info.table.empty()) continue;
    RunShape shape{4, {1}};
    shape.stages = {{{"feed_forward"}}};
    const std::string name(info.name);
    EXPECT_THAT([&] { (void)info.make(Json::object(), Origin::flag("--cache " + name), shape); },
                ThrowsMessage<UsageError>(
                    ::testing::AllOf(HasSubstr("--cache " + name + ": " + std::string(info.table)),
                                     HasSubstr("bwcache-gen calibrate --cache " + name))))
        << name;
  }
}

}  // namespace
}  // namespace bw
