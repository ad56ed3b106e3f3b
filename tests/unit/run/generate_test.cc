#include "run/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "run/latents.h"
#include "run/resolve.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

class Generate : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
  }
  Plan plan(const Json& config) const {
    Request request;
    Json whole = {{"prompt", "a fox"},
                  {"threads", 1},
                  {"dtype", "float32"},
                  {"output", (folder_ / "a.y4m").string()}};
    whole.update(config);
    request.add_config(whole, Origin::file("c.json: "));
    return resolve(request, manifest_);
  }
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      names.push_back(entry.path().filename());
    return names;
  }
  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  bw::testing::QuietObserver observer_;
  fs::path folder_;
};

TEST_F(Generate, Interrupted_SavesLatentsAndLeavesNoVideo) {
  const Plan stopped = plan(Json::object());
  const auto model = load_model(stopped, manifest_);
  observer_.stop_after = 3;
  EXPECT_THROW((void)generate(*model, stopped, observer_), Interrupted);
  EXPECT_THAT(left(), ::testing::UnorderedElementsAre("a.latents.safetensors"));
  EXPECT_EQ(read_latents(folder_ / "a.latents.safetensors").steps, 3);
}

TEST_F(Generate, FailedOutput_KeepsLatentsAndSaysWhere) {
  const Plan blocked = plan(Json::object());
  const auto model = load_model(blocked, manifest_);
  fs::create_directories(folder_ / "a.y4m");  // a folder stands where the video should go
  std::ofstream(folder_ / "a.y4m" / "file") << "so that it cannot be replaced";
  try {
    (void)generate(*model, blocked, observer_);
    FAIL() << "wrote a video over a folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kOutput);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("bwcache-gen decode"));
  }
  EXPECT_EQ(read_latents(folder_ / "a.latents.safetensors").steps, blocked.clip.steps);
}

TEST_F(Generate, ManyClipsOnOneModel_DoNotInfluenceEachOther) {
  const Plan cached = plan({{"cache", "static:every=2"}});
  const Plan other = plan({{"seed", 5}, {"steps", 4}, {"cache", "bwcache:threshold=0.5"}});
  const auto model = load_model(cached, manifest_);
  const std::string alone = denoise(*model, cached, observer_).report.latents_hash;
  (void)denoise(*model, other, observer_);
  EXPECT_EQ(denoise(*model, cached, observer_).report.latents_hash, alone);
}

TEST_F(Generate, BatchedGuidance_AgreesWithSeparate) {
  const Plan separate = plan({{"cache", "static:every=2"}});
  const Plan batched = plan({{"cache", "static:every=2"}, {"guidance_batching", "batched"}});
  const auto model = load_model(separate, manifest_);
  const at::Tensor a = denoise(*model, separate, observer_).latents;
  const at::Tensor b = denoise(*model, batched, observer_).latents;
  EXPECT_LE(((a - b).abs().max() / a.abs().max()).item<double>(), 1e-4);
}

TEST_F(Generate, CutPrompt_IsReportedOnce) {
  std::string prompt;
  for (int i = 0; i < 500; ++i) prompt += "fox ";
  const Plan cut = plan({{"prompt", prompt}});
  const Denoised denoised = denoise(*load_model(cut, manifest_), cut, observer_);
  EXPECT_GT(denoised.report.prompt.cut_tokens, 0);
  EXPECT_THAT(observer_.notes, ::testing::ElementsAre(::testing::HasSubstr("prompt is too long")));
}

}  // namespace
}  // namespace bw
