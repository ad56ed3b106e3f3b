#include "run/profile.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/stopwatch.h"
#include "kernels/linear.h"
#include "run/environment.h"
#include "run/generate.h"
#include "run/operator_costs.h"
#include "run/statistics.h"

namespace bw {
namespace {

// Forgets what was recorded when the first step is done.
class RecordingObserver final : public QuietObserver {
 public:
  RecordingObserver(const Observer& outer, OperatorRecorder& recorder)
      : QuietObserver(outer), recorder_(recorder) {}
  void step(std::int64_t done, std::int64_t /*total*/, std::string_view /*what*/) override {
    if (done == 1) recorder_.restart();
  }

 private:
  OperatorRecorder& recorder_;
};

template <typename Work>
double best_seconds(int rounds, const Work& work) {
  work();
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) {
    const Stopwatch watch;
    work();
    best = std::min(best, watch.seconds());
  }
  return best;
}

// FLOP/s of a large product with a weight in this form: what a step could reach at most. An int8
// layer's includes making its input int8 and its output numbers again.
double measure_gemm_rate(at::ScalarType dtype, WeightForm form) {
  constexpr std::int64_t kRows = 2048, kInner = 1536, kColumns = 1536;
  const at::Tensor x = at::randn({kRows, kInner}).to(dtype);
  const at::Tensor weight = prepare_weight(at::randn({kColumns, kInner}).to(dtype), form);
  const double seconds =
      best_seconds(7, [&] { (void)linear(x, weight, std::nullopt, Activation::kNone); });
  return 2.0 * kRows * kInner * kColumns / seconds;
}

// Bytes/s of copying an array far larger than the caches: read and written.
double measure_bandwidth() {
  constexpr std::int64_t kBytes = std::int64_t{128} << 20;
  const at::Tensor from = at::ones({kBytes / 4}), to = at::empty_like(from);
  return 2.0 * static_cast<double>(kBytes) / best_seconds(7, [&] { to.copy_(from); });
}

// Seconds of every step but the first.
std::vector<double> run(const Bundle& model, const Plan& plan, Observer& observer) {
  const Denoised done = denoise(model, plan, observer);
  if (done.steps < plan.clip.steps) throw Interrupted("stopped; nothing was measured");
  const std::vector<double>& steps = done.report.timings.steps;
  return {steps.begin() + 1, steps.end()};
}

using OperatorCosts = std::map<std::string, OperatorCost>;

// The same under observation, which ends with the run: what is measured of the machine later is no
// part of a step.
std::pair<std::vector<double>, OperatorCosts> run_observed(const Bundle& model, const Plan& plan,
                                                           Observer& observer) {
  OperatorRecorder recorder;
  RecordingObserver recording(observer, recorder);
  std::vector<double> seconds = run(model, plan, recording);
  return {std::move(seconds), recorder.costs()};
}

struct Rates {
  double gemm = 0;  // FLOP/s
  double int8 = 0;  // of linear layers in int8; 0 where there are none
  double memory = 0;

  [[nodiscard]] double of(std::string_view op) const { return op == kInt8Linear ? int8 : gemm; }
};

Rates measure_rates(at::ScalarType dtype, bool has_int8) {
  return {.gemm = measure_gemm_rate(dtype, WeightForm::kPacked),
          .int8 = has_int8 ? measure_gemm_rate(dtype, WeightForm::kInt8) : 0,
          .memory = measure_bandwidth()};
}

// Sums over all operators of one step.
struct StepSums {
  double seconds = 0;
  double flop = 0;
  double seconds_at_rate = 0;  // if every product ran at its rate
};

Json operators_to_json(const OperatorCosts& costs, double steps, const Rates& rates,
                       StepSums& sums) {
  std::vector<std::pair<std::string, OperatorCost>> sorted(costs.begin(), costs.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  Json list = Json::array();
  for (const auto& [name, cost] : sorted) {
    sums.seconds += cost.seconds / steps;
    sums.flop += cost.flop / steps;
    sums.seconds_at_rate += cost.flop / steps / rates.of(name);
    list.push_back({{"name", name},
                    {"calls", static_cast<double>(cost.calls) / steps},
                    {"seconds", cost.seconds / steps},
                    {"bytes", cost.bytes / steps},
                    {"flop", cost.flop / steps},
                    {"share_of_rate", cost.flop / cost.seconds / rates.of(name)}});
  }
  return list;
}

}  // namespace

Json profile(const Bundle& model, const Plan& plan, Observer& observer) {
  if (!model.device().is_cpu()) {
    throw UsageError("--profile observes operators on the CPU; on " + plan.model.device +
                     " they run later than they are called. Leave --device out");
  }
  if (plan.clip.steps < 3) {
    throw UsageError("--profile needs at least 3 steps, got " + std::to_string(plan.clip.steps) +
                     "; the first is left out");
  }
  const c10::InferenceMode guard;
  QuietObserver quiet(observer);
  (void)run(model, plan, quiet);
  const double step_seconds = median(run(model, plan, quiet));
  const auto [observed, costs] = run_observed(model, plan, observer);
  const auto steps = static_cast<double>(observed.size());
  double observed_sum = 0;
  for (const double seconds : observed) observed_sum += seconds;
  const bool has_int8 = costs.contains(std::string(kInt8Linear));
  const Rates rates = measure_rates(model.dtype(), has_int8);
  StepSums sums;
  const Json operators = operators_to_json(costs, steps, rates, sums);
  Json result = {{"format_version", 1},
                 {"kind", "bwcache-gen profile"},
                 {"environment", environment_fingerprint(plan.model)},
                 {"bundle", {{"name", model.manifest().name}, {"sha256", model.manifest().hash}}},
                 {"plan", plan_to_json(plan, false)},
                 {"gemm_flop_per_second", rates.gemm},
                 {"bytes_per_second", rates.memory},
                 {"step_seconds", step_seconds},
                 {"step_flop", sums.flop},
                 {"step_share_of_rate", sums.seconds_at_rate / step_seconds},
                 {"observed_step_seconds", observed_sum / steps},
                 {"between_operators_seconds", observed_sum / steps - sums.seconds},
                 {"operators", operators}};
  if (has_int8) result["int8_flop_per_second"] = rates.int8;
  return result;
}

std::string profile_table(const Json& result) {
  std::array<char, 240> line{};
  const auto number = [&](const char* key) { return result.at(key).get<double>(); };
  const double memory = number("bytes_per_second");
  std::string int8;
  if (result.contains("int8_flop_per_second")) {
    std::snprintf(line.data(), line.size(), " (int8: %.0f)", number("int8_flop_per_second") / 1e9);
    int8 = line.data();
  }
  const double step = number("step_seconds"), observed = number("observed_step_seconds");
  std::snprintf(
      line.data(), line.size(),
      "one step: %.2f ms, %.2f GFLOP in products: %.0f %% of the measured %.0f GFLOP/s%s; memory "
      "copies at %.1f GB/s\n",
      1e3 * step, number("step_flop") / 1e9, 100 * number("step_share_of_rate"),
      number("gemm_flop_per_second") / 1e9, int8.c_str(), memory / 1e9);
  std::string table = line.data();
  table +=
      "operator                             calls       ms  share   GFLOP/s  of GEMM      GB/s  of "
      "copies\n";
  const auto add = [&](const std::string& name, const Json& op) {
    const double seconds = op.at("seconds").get<double>(), flop = op.at("flop").get<double>();
    const double bytes = op.at("bytes").get<double>();
    std::snprintf(line.data(), line.size(),
                  "%-36s %6.0f %8.3f %5.1f%% %9.1f %7.0f%% %9.1f %9.0f%%\n", name.c_str(),
                  op.at("calls").get<double>(), 1e3 * seconds, 100 * seconds / observed,
                  flop / seconds / 1e9, 100 * op.at("share_of_rate").get<double>(),
                  bytes / seconds / 1e9, 100 * bytes / seconds / memory);
    table += line.data();
  };
  for (const Json& op : result.at("operators")) add(op.at("name").get<std::string>(), op);
  const double between = number("between_operators_seconds");
  std::snprintf(line.data(), line.size(), "%-36s %6s %8.3f %5.1f%%\n", "interpreter, cache, solver",
                "", 1e3 * between, 100 * between / observed);
  return table + line.data();
}

}  // namespace bw
