// Throughput of the fused relative L1 kernel beside the same sums in ATen (f32, temporaries and
// all), over sizes from a small hidden state to one beyond the caches.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "kernels/relative_l1.h"

namespace bw {
namespace {

struct Pair {
  at::Tensor a;
  at::Tensor b;
};

Pair make_pair(std::int64_t size, at::ScalarType dtype) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const at::Tensor b = at::randn({size}, generator, at::TensorOptions().dtype(at::kFloat));
  return {(b * 1.01).to(dtype), b.to(dtype)};
}

void set_bytes(benchmark::State& state, const Pair& pair) {
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(pair.a.nbytes() + pair.b.nbytes()));
}

void fused(benchmark::State& state, at::ScalarType dtype) {
  const Pair pair = make_pair(state.range(0), dtype);
  for (auto _ : state) benchmark::DoNotOptimize(relative_l1_sums(pair.a, pair.b));
  set_bytes(state, pair);
}

void in_aten(benchmark::State& state, at::ScalarType dtype) {
  const Pair pair = make_pair(state.range(0), dtype);
  for (auto _ : state) {
    const at::Tensor b = pair.b.to(at::kFloat);
    const double difference = (pair.a.to(at::kFloat) - b).abs().sum().item<double>();
    benchmark::DoNotOptimize(difference / b.abs().sum().item<double>());
  }
  set_bytes(state, pair);
}

BENCHMARK_CAPTURE(fused, f32, at::kFloat)->RangeMultiplier(16)->Range(1 << 14, 1 << 24);
BENCHMARK_CAPTURE(in_aten, f32, at::kFloat)->RangeMultiplier(16)->Range(1 << 14, 1 << 24);
BENCHMARK_CAPTURE(fused, bf16, at::kBFloat16)->RangeMultiplier(16)->Range(1 << 14, 1 << 24);
BENCHMARK_CAPTURE(in_aten, bf16, at::kBFloat16)->RangeMultiplier(16)->Range(1 << 14, 1 << 24);

}  // namespace
}  // namespace bw

BENCHMARK_MAIN();
