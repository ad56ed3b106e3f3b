// Every way of running the default model over a short clip: how far it is from the archive's own
// operators in PyTorch's arithmetic, and what must not change a bit. Read parity_test.cc for the
// comparison with the original model.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bundle/bundle.h"
#include "golden/bundle/relative_error.h"
#include "kernels/relative_l1.h"
#include "kernels/simd.h"
#include "run/generate.h"
#include "run/resolve.h"
#include "support/quiet_observer.h"

namespace bw {
namespace {

struct Mode {
  const char* name;
  Json config;
  // float32: max|a − b| / max|b| of the final latents against the stock graph. bfloat16: the
  // distance to the float32 run, in units of the distance that the stock graph in bfloat16 has to
  // it; how far rounding carries a run depends on the weights, which of two graphs rounds more does
  // not.
  double tolerance;
};

const Json kStock32 = {{"dtype", "float32"}, {"no_rewrite", true}};
const Json kStock16 = {{"dtype", "bfloat16"}, {"no_rewrite", true}};

// Measured with AVX-512: 2.1e-6, 1.6e-6, 0.79, 0.65, 0.68, 0.99; another processor sums in another
// order.
const Mode kModes[] = {
    {"float32", {{"dtype", "float32"}}, 2e-5},
    {"float32_plain_attention", {{"dtype", "float32"}, {"attention", "plain"}}, 2e-5},
    {"bfloat16", {{"dtype", "bfloat16"}}, 1.25},
    {"bfloat16_sdpa", {{"dtype", "bfloat16"}, {"attention", "sdpa"}}, 1.25},
    {"bfloat16_plain_attention", {{"dtype", "bfloat16"}, {"attention", "plain"}}, 1.25},
    {"int8", {{"dtype", "bfloat16"}, {"quantize", "int8"}}, 2.0}};

double relative_l1(const at::Tensor& a, const at::Tensor& b) {
  return relative_l1_sums(a, b).distance();
}

class Modes : public ::testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    if (GetParam().config.contains("quantize") && !has_int8_products()) {
      GTEST_SKIP() << "needs AVX-512 VNNI";
    }
  }
  Plan plan(Json config) const {
    config.update({{"prompt", "a red fox moving to the right in the snow"},
                   {"threads", 1},
                   {"steps", 6},
                   {"num_frames", 9}});
    if (!config.contains("cache")) config["cache"] = "none";
    Request request;
    request.add_config(config, Origin::file("mode: "));
    return resolve(request, manifest_);
  }
  at::Tensor latents(const Bundle& model, const Plan& plan) const {
    bw::testing::QuietObserver observer;
    return denoise(model, plan, observer).latents;
  }

  Manifest manifest_ = read_manifest(BW_SOURCE_DIR "/models/default/bundle");
};

TEST_P(Modes, WholeRun_IsNearTheStockGraph) {
  const auto latents_of = [&](const Json& config) {
    const Plan chosen = plan(config);
    return latents(*load_model(chosen, manifest_), chosen);
  };
  const at::Tensor exact = latents_of(kStock32);
  const at::Tensor found = latents_of(GetParam().config);
  if (GetParam().config.at("dtype") == "float32") {
    bw::testing::expect_close(found, exact, GetParam().name, GetParam().tolerance);
    return;
  }
  const double stock = relative_l1(latents_of(kStock16), exact);
  RecordProperty("times_the_stock_graph", std::to_string(relative_l1(found, exact) / stock));
  EXPECT_LE(relative_l1(found, exact), GetParam().tolerance * stock) << "stock graph " << stock;
}

TEST_P(Modes, SecondLoadAndCacheThatNeverReuses_ChangeNoBit) {
  const Plan exact = plan(GetParam().config);
  const at::Tensor once = latents(*load_model(exact, manifest_), exact);
  const auto model = load_model(exact, manifest_);
  EXPECT_TRUE(at::equal(latents(*model, exact), once));
  Json cached = GetParam().config;
  cached["cache"] = "bwcache:threshold=0";
  EXPECT_TRUE(at::equal(latents(*model, plan(cached)), once));
}

INSTANTIATE_TEST_SUITE_P(DefaultModel, Modes, ::testing::ValuesIn(kModes),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace bw
