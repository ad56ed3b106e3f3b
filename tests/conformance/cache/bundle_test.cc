// The rules of cache_policy_test.cc over real bundles: TorchScript blocks, several streams and
// kinds of block, experts, in each dtype that a bundle has.
#include "bundle/bundle.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/simd.h"
#include "support/cache_conformance.h"
#include "torchscript/safetensors.h"

namespace bw::testing {
namespace {

struct BundleRun {
  const char* bundle;
  at::ScalarType dtype = at::kFloat;
  SubjectOptions options;  // its dtype and num_experts are the bundle's business
  bool rewrite = true;
  bool int8 = false;
};

void PrintTo(const BundleRun& run, std::ostream* out) {
  *out << run.bundle << ' ' << run.dtype << ' ' << run.options.name
       << (run.rewrite ? "" : " as it is") << (run.int8 ? " int8" : "");
}

// Whether single blocks can run in int8.
bool has_int8(const BundleRun& run) { return run.rewrite && has_int8_products(); }

// The texts of one clip and what depends on them and on the time alone.
class Clip {
 public:
  Clip(const BundleRun& run, const Safetensors& golden)
      : bundle_(Bundle::load(Bundle::open(std::string(BW_TEST_DATA "/bundles/") + run.bundle),
                             {.dtype = run.dtype,
                              .rewrite = run.rewrite,
                              .int8 = run.int8,
                              .int8_variant = has_int8(run),
                              .with_text_encoder = false})),
        noise_(golden.tensors.at("noise")) {
    const at::Tensor& cond = golden.tensors.at("cond");
    cond_ = conditions(cond);
    uncond_ = conditions(golden.tensors.at("uncond"));
    other_ = conditions(seeded_randn(cond.sizes(), 99));
  }

  [[nodiscard]] const Manifest& manifest() const { return bundle_->manifest(); }
  [[nodiscard]] const Denoiser& denoiser() const { return bundle_->denoiser(); }
  [[nodiscard]] const at::Tensor& noise() const { return noise_; }
  [[nodiscard]] LatentShape shape() const {
    return {noise_.size(1), noise_.size(2), noise_.size(3), noise_.size(4)};
  }

  std::unique_ptr<Pass> begin(std::span<const Branch> branches, double timestep,
                              const at::Tensor& latent, bool other_uncond) const {
    std::vector<BranchContext> contexts;
    for (const Branch branch : branches) {
      const BranchContext& uncond = other_uncond ? other_ : uncond_;
      contexts.push_back(branch == Branch::kCond ? cond_ : uncond);
    }
    const auto rows = static_cast<std::int64_t>(contexts.size());
    const BranchContext context =
        rows == 1 ? contexts.front() : batch_contexts(denoiser(), contexts);
    return denoiser().begin(context, latent.expand({rows, -1, -1, -1, -1}),
                            denoiser().modulation({timestep, std::nullopt}, rows));
  }

 private:
  [[nodiscard]] BranchContext conditions(const at::Tensor& text) const {
    return denoiser().conditions(text, shape());
  }

  std::shared_ptr<const Bundle> bundle_;
  at::Tensor noise_;
  BranchContext cond_;
  BranchContext uncond_;
  BranchContext other_;  // of another negative prompt
};

CacheLayout layout_of(const Clip& clip, const BundleRun& run) {
  const std::vector<std::int64_t> streams =
      hidden_bytes(clip.manifest(), clip.shape(), run.dtype, 1);
  const std::int64_t hidden = std::accumulate(streams.begin(), streams.end(), std::int64_t{0});
  const std::int64_t filtered = hidden_bytes(clip.manifest(), clip.shape(), at::kFloat, 1).front();
  const auto& patch = clip.manifest().streams.front().patch;
  CacheLayout layout;
  for (std::size_t expert = 0; expert < clip.denoiser().num_experts(); ++expert) {
    const std::span<const BlockInfo> blocks = clip.denoiser().blocks(expert);
    layout.experts.push_back({{blocks.begin(), blocks.end()},
                              static_cast<std::uint64_t>(hidden),
                              static_cast<std::uint64_t>(streams.front()),
                              static_cast<std::uint64_t>(filtered),
                              {clip.shape().frames / patch[0], clip.shape().height / patch[1],
                               clip.shape().width / patch[2]}});
  }
  layout.prediction_bytes = clip.noise().nbytes();
  layout.batched = run.options.batched;
  layout.evaluations = make_evaluations(run.options);
  for (EvaluationContext& evaluation : layout.evaluations) {
    evaluation.expert = clip.denoiser().expert_at(evaluation.timestep);
  }
  return layout;
}

CacheSubject make_bundle_subject(const BundleRun& run) {
  const std::string runs =
      std::string(BW_TEST_DATA "/bundles/") + run.bundle + "/golden/runs.safetensors";
  const auto clip = std::make_shared<const Clip>(run, read_safetensors(runs));
  CacheSubject subject;
  subject.name = std::string(run.bundle) + " " + run.options.name;
  subject.layout = layout_of(*clip, run);
  subject.noise = clip->noise();
  subject.has_int8 = has_int8(run);
  subject.has_partial_stages = clip->manifest().streams.size() > 1;
  subject.begin = [clip](std::span<const Branch> branches, const EvaluationContext& context,
                         const at::Tensor& latent, bool other_uncond) {
    return clip->begin(branches, context.timestep, latent, other_uncond);
  };
  return subject;
}

bool same_tensor(const at::Tensor& a, const at::Tensor& b) { return at::equal(a, b); }

class BundleConformance : public ::testing::TestWithParam<BundleRun> {};

TEST_P(BundleConformance, EveryPolicy_EveryPreset_KeepsTheRules) {
  const c10::InferenceMode guard;
  const CacheSubject subject = make_bundle_subject(GetParam());
  const ConformanceOptions options{GetParam().dtype == at::kFloat ? 1e-4 : 0.1,
                                   /*one_of_a_kind=*/true};
  for (const CachePolicyInfo& policy : cache_policies()) {
    const bool any_reuse = check_cache_policy(subject, policy, options);
    if (!supports(subject, policy, Json::object())) continue;
    const bool can_reuse = !make_policy_for(subject, policy, Json::object())->needs().sites.empty();
    EXPECT_EQ(any_reuse, can_reuse) << policy.name << " never reused on " << subject.name;
  }
}

// What a reused stage rests on: its gate by itself, and blocks that may be walked by stages.
TEST_P(BundleConformance, Stages_WithTheirGates_AddUpToTheBlock) {
  const c10::InferenceMode guard;
  const CacheSubject subject = make_bundle_subject(GetParam());
  for (const EvaluationContext& context : subject.layout.evaluations) {
    const auto pass = subject.begin({&kBranches[0], 1}, context, subject.noise, false);
    Hidden hidden = pass->embed();
    for (std::size_t block = 0; block < pass->blocks().size(); ++block) {
      const Hidden whole = pass->run_block(block, hidden);
      for (std::size_t stage = 0; stage < pass->blocks()[block].stages.size(); ++stage) {
        const StageResult result = pass->run_stage(block, stage, hidden);
        const Hidden gate = pass->gate(block, stage);
        EXPECT_TRUE(std::ranges::equal(gate, result.gate, same_tensor)) << block << ' ' << stage;
        hidden = pass->add_stage(block, stage, hidden, {result.output, gate});
      }
      EXPECT_TRUE(std::ranges::equal(hidden, whole, same_tensor)) << "block " << block;
    }
  }
}

std::vector<BundleRun> all_runs() {
  const SubjectOptions plain{.name = "plain", .num_steps = 8};
  // Guidance pauses in the middle of a Heun run: anchors of the unconditional branch go stale.
  const SubjectOptions hole{
      .name = "hole", .num_steps = 8, .heun = true, .hole_start = 0.4, .hole_end = 0.6};
  const SubjectOptions batched{.name = "batched", .num_steps = 8, .batched = true};
  std::vector<BundleRun> runs;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    runs.push_back({"tiny-wan", dtype, plain});
    runs.push_back({"tiny-wan", dtype, batched});
  }
  runs.push_back({"tiny-wan", at::kBFloat16, plain, false});
  runs.push_back({"tiny-wan", at::kBFloat16, plain, true, true});
  for (const SubjectOptions& options : {plain, hole, batched}) {
    runs.push_back({"synthetic", at::kFloat, options});
  }
  return runs;
}

std::string test_name(const ::testing::TestParamInfo<BundleRun>& info) {
  std::string name = std::string(info.param.bundle) + "_" + at::toString(info.param.dtype) + "_" +
                     info.param.options.name + (info.param.rewrite ? "" : "_as_it_is") +
                     (info.param.int8 ? "_int8" : "");
  for (char& letter : name) letter = letter == '-' ? '_' : letter;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Bundles, BundleConformance, ::testing::ValuesIn(all_runs()), test_name);

}  // namespace
}  // namespace bw::testing
