#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "run/environment.h"
#include "run/plan_differences.h"
#include "run/regress_checks.h"

namespace bw {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kMachine = R"({"processor": "A", "threads": 1})";
constexpr const char* kOtherMachine = R"({"processor": "B", "threads": 1})";

RegressClip clip(std::int64_t seed) {
  RegressClip result;
  result.prompt = "a fox";
  result.seed = seed;
  result.uncached_latents = at::tensor({0.0F, 1.0F, 2.0F, 4.0F}).view({1, 1, 1, 2, 2});
  result.cached_latents = result.uncached_latents + 1;
  result.uncached_hash = "u";
  result.cached_hash = "c";
  result.counts = {{{100, 0}, {200, 80}, {600, 240}, {1800, 0}}};
  result.computed_fraction = 0.6;
  result.cache_bytes = 1000;
  return result;
}

// A case of two clips, what it recorded on one machine, and runs that gave the same again.
class Regress : public ::testing::Test {
 protected:
  Regress() {
    case_.file = "case.json";
    case_.name = "tiny";
    case_.prompts = {"a fox"};
    case_.seeds = {1, 2};
    case_.gates = gates_from_json(Json::parse(R"({"psnr": {"mean": {"min": 30}}})"),
                                  Origin::file("case.json: gates"));
    runs_.record.fingerprint = Json::parse(kMachine);
    runs_.record.provenance = {{"date", "2026-01-01T00:00:00Z"}};
    runs_.record.clips = {clip(1), clip(2)};
    runs_.record.peak_memory_bytes = 100000;
    runs_.quality = {summarize(find_metric("psnr", Origin::file("x")), {31, 35})};
    runs_.repeated_hash = "c";
    runs_.declared_cache_bytes = 1000;
    reference_.plan = {{"prompts", case_.prompts}, {"seeds", case_.seeds}};
    reference_.latents_of = fingerprint_hash(runs_.record.fingerprint);
    reference_.machines = {{reference_.latents_of, runs_.record}};
    for (const RegressClip& one : runs_.record.clips) {
      reference_.uncached_latents.push_back(one.uncached_latents.clone());
      reference_.cached_latents.push_back(one.cached_latents.clone());
    }
  }

  void move_to_other_machine() { runs_.record.fingerprint = Json::parse(kOtherMachine); }

  std::vector<std::string> failures() const {
    std::vector<std::string> names;
    for (const RegressCheck& check : own_checks(case_, runs_)) {
      if (check.verdict == CheckOutcome::kFailed) names.push_back(check.name);
    }
    for (const RegressCheck& check : reference_checks(case_, runs_, reference_)) {
      if (check.verdict == CheckOutcome::kFailed) names.push_back(check.name);
    }
    return names;
  }

  RegressCase case_;
  RegressRuns runs_;
  RegressReference reference_;
};

TEST_F(Regress, EqualRuns_Pass) {
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_THAT(reference_checks(case_, runs_, reference_), ::testing::SizeIs(9));
}

TEST_F(Regress, EqualRunsOnOtherMachine_PassWithoutMemoryOfProcess) {
  move_to_other_machine();
  runs_.record.clips[0].cached_hash = runs_.repeated_hash = "other";
  runs_.record.peak_memory_bytes = 1;
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_EQ(reference_checks(case_, runs_, reference_).back().verdict, CheckOutcome::kNotChecked);
}

TEST_F(Regress, WorseQuality_FailsItsGate) {
  runs_.quality = {summarize(find_metric("psnr", Origin::file("x")), {29, 28})};
  EXPECT_THAT(failures(), ElementsAre("quality.psnr.mean"));
  // The values of two clips, one frame each.
  EXPECT_EQ(own_checks(case_, runs_).front().detail,
            "the worst value is 28, of \"a fox\", seed 2, frame 0");
}

TEST_F(Regress, OneInertClip_Fails) {
  // Of many clips a single inert one moves the mean fraction too little to be seen there.
  for (RegressClip* one : {&runs_.record.clips[1], &reference_.machines.begin()->second.clips[1]}) {
    for (ReuseCount& count : one->counts) count.reused = 0;
  }
  EXPECT_THAT(failures(), ElementsAre("cache.inert"));
}

TEST_F(Regress, ComputedFraction_HoldsWithinToleranceBothWays) {
  for (const double shift : {-0.019, 0.019}) {
    runs_.record.clips[0].computed_fraction = 0.6 + 2 * shift;  // the mean of two moves by half
    EXPECT_THAT(failures(), IsEmpty()) << shift;
  }
  for (const double shift : {-0.021, 0.021}) {
    runs_.record.clips[0].computed_fraction = 0.6 + 2 * shift;
    EXPECT_THAT(failures(), ElementsAre("cache.computed_fraction")) << shift;
  }
}

TEST_F(Regress, OneDecisionMore_FailsOnTheSameMachineOnly) {
  runs_.record.clips[1].counts[1].reused += 1;
  EXPECT_THAT(failures(), ElementsAre("decisions.branches"));
  move_to_other_machine();
  EXPECT_THAT(failures(), IsEmpty());
  runs_.record.clips[1].counts[1].reused += 3;  // 4 of 200 are 2 %
  EXPECT_THAT(failures(), IsEmpty());
  runs_.record.clips[1].counts[1].reused += 1;
  EXPECT_THAT(failures(), ElementsAre("decisions.branches"));
}

TEST_F(Regress, OtherRepetition_Fails) {
  runs_.repeated_hash = "other";
  EXPECT_THAT(failures(), ElementsAre("latents.repeated"));
}

TEST_F(Regress, OtherHashes_NameHowFarTheLatentsAre) {
  runs_.record.clips[1].uncached_hash = "other";
  runs_.record.clips[1].uncached_latents = runs_.record.clips[1].uncached_latents + 0.04;
  EXPECT_THAT(failures(), ElementsAre("latents.uncached.hash"));
  for (const RegressCheck& check : reference_checks(case_, runs_, reference_)) {
    if (check.name == "latents.uncached.hash") {
      EXPECT_THAT(check.detail, HasSubstr("\"a fox\", seed 2: "));
      EXPECT_THAT(check.detail, HasSubstr("PSNR 40 dB"));
    }
  }
}

TEST_F(Regress, DriftedLatentsOnOtherMachine_Fail) {
  move_to_other_machine();
  // Of range 4: an error of 0.04 is 40 dB, one of 0.004 is 60 dB.
  runs_.record.clips[1].cached_latents = runs_.record.clips[1].cached_latents + 0.004;
  EXPECT_THAT(failures(), IsEmpty());
  runs_.record.clips[1].cached_latents = runs_.record.clips[1].cached_latents + 0.036;
  EXPECT_THAT(failures(), ElementsAre("latents.cached.psnr"));
  runs_.record.clips[1].cached_latents = -runs_.record.clips[1].cached_latents;
  EXPECT_THAT(failures(), ElementsAre("latents.cached.cosine", "latents.cached.psnr"));
  runs_.record.clips[1].cached_latents = at::full({1, 1, 1, 2, 2}, NAN);
  EXPECT_THAT(failures(), ElementsAre("latents.cached.cosine", "latents.cached.psnr"));
}

TEST_F(Regress, MoreMemoryThanDeclared_Fails) {
  runs_.declared_cache_bytes = 999;
  EXPECT_THAT(failures(), ElementsAre("memory.cache_declared"));
}

TEST_F(Regress, MemoryBeyondTolerance_Fails) {
  runs_.record.peak_memory_bytes = 105000;
  EXPECT_THAT(failures(), IsEmpty());
  runs_.record.peak_memory_bytes = 105001;
  EXPECT_THAT(failures(), ElementsAre("memory.process"));
  runs_.record.peak_memory_bytes = 94999;
  EXPECT_THAT(failures(), ElementsAre("memory.process"));
}

TEST_F(Regress, Baseline_IsThisMachineElseTheOneWithLatents) {
  const std::string other = fingerprint_hash(Json::parse(kOtherMachine));
  EXPECT_TRUE(find_baseline(reference_, reference_.latents_of).same_machine);
  EXPECT_FALSE(find_baseline(reference_, other).same_machine);
  EXPECT_TRUE(find_baseline(reference_, other).has_latents);
  reference_.machines.emplace(other, runs_.record);
  EXPECT_TRUE(find_baseline(reference_, other).same_machine);
  EXPECT_FALSE(find_baseline(reference_, other).has_latents);
}

TEST_F(Regress, WrittenReference_ReadsBack) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "regress_reference";
  std::filesystem::remove_all(folder);
  case_.reference = folder / "r.json";
  write_regress_reference(case_, reference_);
  reference_ = read_regress_reference(case_);
  EXPECT_THAT(failures(), IsEmpty());
  move_to_other_machine();
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_EQ(reference_.plan.at("seeds"), Json(case_.seeds));

  write_file(folder / "r.safetensors", "other");
  EXPECT_THROW((void)read_regress_reference(case_), InputError);
}

TEST_F(Regress, LatentsBeyondFloat16_AreNotWritten) {
  case_.reference = std::filesystem::path(::testing::TempDir()) / "regress_huge" / "r.json";
  reference_.cached_latents[1] = reference_.cached_latents[1] * 1e6;
  EXPECT_THROW(write_regress_reference(case_, reference_), GateError);
  EXPECT_FALSE(std::filesystem::exists(case_.reference));
}

TEST(LatentDistance, KnownVectors) {
  const at::Tensor a = at::tensor({3.0F, 0.0F});
  const at::Tensor b = at::tensor({0.0F, 4.0F});
  EXPECT_DOUBLE_EQ(latent_distance(a, b).cosine, 1);
  // mse = (9 + 16) / 2, range 4: 10 log10(16 / 12.5)
  EXPECT_NEAR(latent_distance(a, b).psnr, 1.0721, 1e-4);
  EXPECT_DOUBLE_EQ(latent_distance(a, 2 * a).cosine, 0);
  EXPECT_EQ(latent_distance(a, a).psnr, std::numeric_limits<double>::infinity());
}

TEST(PlanDifferences, EveryPlace_IsNamedWithBothValues) {
  const Json recorded = Json::parse(
      R"({"steps": 12, "fps": 8.0, "cache": {"params": {"threshold": 0.1}}, "seeds": [1, 2]})");
  EXPECT_THAT(plan_differences(recorded, recorded), IsEmpty());
  const Json now = Json::parse(
      R"({"seeds": [1, 3, 4], "cache": {"params": {"threshold": 0.2}}, "steps": 12.0})");
  EXPECT_THAT(
      plan_differences(recorded, now),
      ElementsAre("plan.fps: recorded 8.0, now nothing",
                  "plan.cache.params.threshold: recorded 0.1, now 0.2",
                  "plan.seeds[1]: recorded 2, now 3", "plan.seeds[2]: recorded nothing, now 4"));
}

TEST(PlanDifferences, KeysOfALaterProgram_AreNoDifference) {
  EXPECT_THAT(plan_differences(Json::parse(R"({"steps": 12})"),
                               Json::parse(R"({"steps": 12, "attention": "auto"})")),
              IsEmpty());
}

TEST(FingerprintDifferences, NamesWhatChanged) {
  EXPECT_EQ(fingerprint_differences(Json::parse(kMachine), Json::parse(kOtherMachine)),
            "processor: recorded \"A\", now \"B\"");
}

}  // namespace
}  // namespace bw
