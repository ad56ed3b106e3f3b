#include "run/attention_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "kernels/attention.h"
#include "run/generate.h"
#include "run/options.h"
#include "run/resolve.h"
#include "run/run_record.h"
#include "support/quiet_observer.h"
#include "support/tensors.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

Plan plan_of(const Manifest& manifest, const Json& config) {
  Request request;
  Json whole = {{"prompt", "a fox"}, {"threads", 1}, {"steps", 3}, {"cache", "none"}};
  whole.update(config);
  request.add_config(whole, Origin::file("c.json: "));
  return resolve(request, manifest);
}

class SettleAttention : public ::testing::Test {
 protected:
  Plan settled(const Json& config) {
    Plan plan = plan_of(manifest_, config);
    const auto model = load_model(plan, manifest_);
    settle_attention(*model, plan, Origin::flag("--attention"), observer_);
    return plan;
  }
  std::string message_of(const Json& config) {
    try {
      (void)settled(config);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string latents_of(const Plan& plan) {
    return denoise(*load_model(plan, manifest_), plan, observer_).report.latents_hash;
  }

  Manifest manifest_ = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  bw::testing::QuietObserver observer_;
};

TEST_F(SettleAttention, Rule_StaysAndSaysNothing) {
  EXPECT_EQ(settled(Json::object()).model.attention, "rule");
  EXPECT_TRUE(observer_.notes.empty());
}

TEST_F(SettleAttention, NamedForm_IsWhatRuns) {
  const Plan plain = settled({{"dtype", "float32"}, {"attention", "plain"}});
  EXPECT_EQ(plain.model.attention, "plain");
  const Plan sdpa = settled({{"dtype", "float32"}, {"attention", "sdpa"}});
  const Plan rule = settled({{"dtype", "float32"}});
  EXPECT_EQ(latents_of(sdpa), latents_of(rule));  // in float32 the rule says sdpa
  EXPECT_NE(latents_of(plain), latents_of(rule));
}

TEST_F(SettleAttention, Auto_EntersThePlanAndRepeatsFromIt) {
  const Plan measured = settled({{"attention", "auto"}});
  EXPECT_TRUE(find_attention_form(measured.model.attention)) << measured.model.attention;
  EXPECT_THAT(observer_.notes, ::testing::ElementsAre(HasSubstr("sdpa ")));
  EXPECT_EQ(measured.sources.at("attention"), "measured, --attention");
  Request again;
  add_recorded_plan(again, {plan_to_json(measured, true), manifest_.hash, {}}, "r.json");
  again.set("threads", 1, Origin::flag("--threads"));
  const Plan repeated = resolve(again, manifest_);
  EXPECT_EQ(repeated.model.attention, measured.model.attention);
  EXPECT_EQ(latents_of(repeated), latents_of(measured));
}

TEST_F(SettleAttention, HeadsThatAFormDoesNotTake_AreNamed) {
  if (!attention_obstacle(AttentionForm::kFlash, c10::Device(c10::kCPU), at::kBFloat16).empty()) {
    GTEST_SKIP() << "this processor is refused before";
  }
  EXPECT_THAT(message_of({{"attention", "flash"}}),
              HasSubstr("--attention: 'flash' needs heads of 64, 128, 192 or 256 values"));
}

TEST_F(SettleAttention, GivenEmbeddingsAndSeveralKindsOfBlocks_AreMeasuredToo) {
  manifest_ = read_manifest(BW_TEST_DATA "/bundles/synthetic");
  const fs::path file = fs::path(::testing::TempDir()) / "attention_choice.safetensors";
  const std::vector<std::pair<std::string, at::Tensor>> embeds = {
      {"prompt_embeds", seeded({1, manifest_.text_tokens, manifest_.text_dim}, 1)},
      {"negative_prompt_embeds", seeded({1, manifest_.text_tokens, manifest_.text_dim}, 2)}};
  write_safetensors(file, embeds, {});
  Request request;
  request.add_config({{"prompt_embeds", file.string()}, {"attention", "auto"}, {"threads", 1}},
                     Origin::file("c.json: "));
  Plan plan = resolve(request, manifest_);
  settle_attention(*load_model(plan, manifest_), plan, Origin::flag("--attention"), observer_);
  EXPECT_TRUE(find_attention_form(plan.model.attention)) << plan.model.attention;
}

TEST(ResolveAttention, WhatCannotRun_IsRefusedBeforeLoading) {
  const Manifest manifest = read_manifest(BW_TEST_DATA "/bundles/tiny-wan");
  const auto message = [&](const Json& config) {
    try {
      (void)plan_of(manifest, config);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message({{"attention", "flash"}, {"dtype", "float32"}}),
            "c.json: attention: 'flash' computes in bfloat16 alone; choose sdpa, plain or auto");
  EXPECT_THAT(message({{"attention", "auto"}, {"no_rewrite", true}}),
              HasSubstr("c.json: attention: needs the fused operators"));
  EXPECT_EQ(message({{"attention", "auto"}}), "no error");
}

TEST(OptionAttention, EveryForm_IsAChoice) {
  const std::vector<std::string>& choices = find_option("attention")->choices;
  for (const AttentionForm form : kAttentionForms) {
    EXPECT_THAT(choices, ::testing::Contains(attention_form_name(form)));
  }
  EXPECT_EQ(choices.size(), kAttentionForms.size() + 2);  // and rule, auto
}

}  // namespace
}  // namespace bw
