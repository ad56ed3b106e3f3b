// Bandwidth of the CUDA kernels, medians of 50 launches, as JSON on stdout. Exits with 4 and a
// reason where there is no GPU.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "kernels/combine.h"
#include "kernels/device.h"
#include "kernels/operators.h"
#include "kernels/relative_l1_batch.h"

namespace bw {
namespace {

constexpr int kRounds = 50;
using Optional = std::optional<at::Tensor>;

// Seconds on the device; other work in between empties its caches.
double median_seconds(const std::function<void()>& work) {
  const c10::impl::VirtualGuardImpl device(c10::kCUDA);
  const c10::Stream stream = device.getStream(c10::Device(c10::kCUDA, 0));
  const at::Tensor flush = at::empty({64 << 20}, at::TensorOptions(at::kFloat).device(at::kCUDA));
  std::vector<double> seconds;
  for (int i = 0; i < kRounds; ++i) {
    flush.fill_(i);
    c10::Event begin(c10::kCUDA, c10::EventFlag::BACKEND_DEFAULT),
        end(c10::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
    begin.record(stream);
    work();
    end.record(stream);
    end.synchronize();
    seconds.push_back(begin.elapsedTime(end) / 1e3);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[kRounds / 2];
}

Json row(const char* name, double bytes, const std::function<void()>& work) {
  const double seconds = median_seconds(work);
  return {{"name", name}, {"seconds", seconds}, {"bytes_per_second", bytes / seconds}};
}

template <typename Signature>
auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

// The hidden state of Wan 1.3B at 832×480×81: [1,32760,1536] in bf16.
Json measure() {
  const c10::InferenceMode guard;
  const auto options = at::TensorOptions(at::kBFloat16).device(at::kCUDA);
  const at::Tensor x = at::randn({1, 32760, 1536}, options), y = at::randn_like(x),
                   z = at::randn_like(x), row_values = at::randn({1, 1, 1536}, options),
                   cos = at::randn({1, 1, 32760, 64}, options), weight = at::randn({1536}, options);
  const auto size = static_cast<double>(x.nbytes());
  const auto norm =
      find<at::Tensor(const at::Tensor&, const Optional&, const Optional&, const Optional&,
                      const Optional&, double, bool)>("bw::norm_modulate");
  const auto add = find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, bool)>(
      "bw::gated_add");
  const auto rope =
      find<at::Tensor(const at::Tensor&, const Optional&, double, const Optional&, const Optional&,
                      std::int64_t, std::int64_t, bool)>("bw::qk_norm_rope");
  const at::Tensor heads = x.view({1, 32760, 12, 128}).transpose(1, 2);
  Json rows = Json::array();
  rows.push_back(row("copy", 2 * size, [&] { y.copy_(z); }));
  rows.push_back(row("relative_l1", 2 * size, [&] {
    RelativeL1Batch batch;
    (void)batch.add(x, y);
  }));
  rows.push_back(row("relative_l1, ATen", 2 * size,
                     [&] { (void)((x - y).abs().sum(at::kFloat) / y.abs().sum(at::kFloat)); }));
  rows.push_back(row("norm_modulate", 2 * size,
                     [&] { (void)norm.call(x, {}, {}, row_values, row_values, 1e-6, false); }));
  rows.push_back(row("norm_modulate, ATen", 2 * size,
                     [&] { (void)(at::layer_norm(x, {1536}) * (1 + row_values) + row_values); }));
  rows.push_back(row("gated_add", 3 * size, [&] { (void)add.call(x, y, row_values, false); }));
  rows.push_back(row("qk_norm_rope", 2 * size,
                     [&] { (void)rope.call(heads, weight, 1e-6, cos, cos, 1, 2, false); }));
  rows.push_back(row("combine of 3", 4 * size, [&] { (void)combine({x, y, z}, {1, -1, 1}); }));
  return {{"kind", "bwcache-gen CUDA kernels"},
          {"device", describe_device(c10::Device(c10::kCUDA, 0)).name},
          {"shape", {1, 32760, 1536}},
          {"dtype", "bfloat16"},
          {"rounds", kRounds},
          {"kernels", rows}};
}

}  // namespace
}  // namespace bw

int main() {
  try {
    bw::register_operators();
    bw::open_device(c10::Device(c10::kCUDA, 0));
    std::printf("%s\n", bw::measure().dump(1).c_str());
    return 0;
  } catch (const bw::Error& error) {
    std::fprintf(stderr, "kernels_bench: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
