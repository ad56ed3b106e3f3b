// One call of attention in each of its forms: the table of docs/performance.md. Arguments are
// tokens, heads and values per head.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "kernels/attention.h"

namespace bw {
namespace {

void attention(benchmark::State& state, AttentionForm form, at::ScalarType dtype) {
  const std::int64_t tokens = state.range(0), heads = state.range(1), dim = state.range(2);
  const auto draw = [&](std::uint64_t seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return at::randn({1, tokens, heads, dim}, generator, at::TensorOptions().dtype(at::kFloat))
        .to(dtype)
        .transpose(1, 2);
  };
  const at::Tensor q = draw(1), k = draw(2), v = draw(3);
  const std::string obstacle = attention_obstacle(form, q, k, v);
  if (!obstacle.empty()) return state.SkipWithError(obstacle.c_str());
  for (auto _ : state) benchmark::DoNotOptimize(attend(q, k, v, form));
  state.counters["GFLOP/s"] = benchmark::Counter(
      4e-9 * static_cast<double>(tokens * tokens * heads * dim * state.iterations()),
      benchmark::Counter::kIsRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t tokens : {320, 1560, 8000}) {
    bench->Args({tokens, 3, 64})->Args({tokens, 12, 128});
  }
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(attention, sdpa_bf16, AttentionForm::kSdpa, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(attention, plain_bf16, AttentionForm::kPlain, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(attention, flash_bf16, AttentionForm::kFlash, at::kBFloat16)->Apply(shapes);
BENCHMARK_CAPTURE(attention, sdpa_f32, AttentionForm::kSdpa, at::kFloat)->Apply(shapes);
BENCHMARK_CAPTURE(attention, plain_f32, AttentionForm::kPlain, at::kFloat)->Apply(shapes);

}  // namespace
}  // namespace bw

BENCHMARK_MAIN();
