// How a reused segment gets its value from what was kept at earlier computed steps. Orthogonal to
// policies. Read rebuild.cc for the table of rules and history.h for what keeps the tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"
#include "bundle/denoiser.h"

namespace bw {

// What was kept of one step. `value` is the segment's output, or output − input.
struct Sample {
  std::int64_t step = 0;
  Hidden value;
  double sigma = 0;  // noise level; of guided predictions alone
};

// What a kept value is corrected by: scale · value + shift, of all its elements.
struct ScaleShift {
  double scale = 1;
  double shift = 0;
  bool operator==(const ScaleShift&) const = default;
};

// Where a value is rebuilt.
struct RebuildAt {
  std::int64_t step = 0;
  std::int64_t num_steps = 0;
  double weight = 0;           // BranchPlan::weight; read by `weighted` and `mean_velocity`
  double sigma = 0;            // noise level; this and the next are read by `mean_velocity` alone
  double next_sigma = 0;       // at the end of the step
  ScaleShift correction = {};  // of what the samples give, before an input is added
};

// Immutable. The default holds the output.
class Rebuild {
 public:
  Rebuild() = default;
  // newest + weight · (newest − the one before), where the plan of each evaluation brings the
  // weight: 0 holds. Of outputs, or of output − input. For policies that know how far to
  // extrapolate; their users cannot choose it, so `parse` of a parameter does not take it.
  [[nodiscard]] static Rebuild weighted(bool residual);
  // Spectrum: Chebyshev polynomials up to `degree` fitted to output − input at the last computed
  // steps by ridge regression with `ridge`, blended with the line through the
  // last two: blend · fit + (1 − blend) · line.
  struct Chebyshev {
    int degree = 3;
    int window = 6;  // computed steps kept
    double ridge = 1;
    double blend = 0.4;
    bool operator==(const Chebyshev&) const = default;
  };
  [[nodiscard]] static Rebuild chebyshev(const Chebyshev& fit);
  // MeanCache: a sample of the site kGuided is {v, z}, prediction and latents, of every step, also
  // of those that were rebuilt; up to max_span of them. With r the sample `weight` steps back (the
  // oldest, if there are fewer), v' the newest prediction and z the live latents:
  //   v' − J·(σ_next − σ),  J = (v_r − (z − z_r) / (σ − σ_r)) / (σ − σ_r)
  [[nodiscard]] static Rebuild mean_velocity(int max_span);
  static constexpr int kMaxSpan = 6;
  // Also the names of the rules above, as a trace holds them.
  [[nodiscard]] static Rebuild from_name(std::string_view name, const Origin& origin);
  // "output", "residual", "linear" (= taylor:1) or "taylor:n", 1 <= n <= kMaxOrder. The rules after
  // "output" keep output − input; `taylor` extrapolates it in the step index through the last n+1
  // computed steps (Newton's divided differences, so gaps may be uneven).
  [[nodiscard]] static Rebuild parse(std::string_view text, const Origin& origin);
  // For the command line: what `parse` takes.
  static constexpr std::string_view kForm = "output, residual, linear or taylor:n (n = 1 … 4)";
  static constexpr int kMaxOrder = 4;

  [[nodiscard]] std::string name() const;
  // Whether `parse` makes it: users may put another in its place.
  [[nodiscard]] bool is_choice() const { return !weighted_ && !mean_velocity_ && !chebyshev_; }
  // Samples kept.
  [[nodiscard]] std::size_t depth() const;
  // Whether value() needs the segment's live input.
  [[nodiscard]] bool uses_input() const { return residual_; }
  // Whether what was rebuilt is kept as what was computed is, each with its input.
  [[nodiscard]] bool keeps_every_step() const { return mean_velocity_; }
  // What value() would need without an input: predictions (sites kGuided, kBranch) have none.
  [[nodiscard]] Rebuild without_input() const;

  // What to keep. One tensor per stream, in the dtype of the output; `mean_velocity` keeps the
  // input behind the output.
  [[nodiscard]] Hidden keep(const Hidden& input, const Hidden& output) const;
  // The segment's value. samples: newest first, 1 … depth() of them; fewer than depth() lower the
  // order. `input` may be empty unless uses_input(). Extrapolates in fp32.
  [[nodiscard]] Hidden value(std::span<const Sample> samples, const RebuildAt& at,
                             const Hidden& input) const;

 private:
  // Of the samples, newest first; their sum is what is extrapolated.
  [[nodiscard]] std::vector<double> weights(std::span<const Sample> samples,
                                            const RebuildAt& at) const;
  [[nodiscard]] at::Tensor mean_velocity_value(std::span<const Sample> samples, const RebuildAt& at,
                                               const Hidden& input) const;

  bool residual_ = false;
  int order_ = 0;
  bool weighted_ = false;
  bool mean_velocity_ = false;
  std::optional<Chebyshev> chebyshev_;
};

// Weights w with p(target) = Σ w_i·p(steps_i) for every polynomial p of degree < steps.size(); the
// steps are distinct.
[[nodiscard]] std::vector<double> extrapolation_weights(std::span<const std::int64_t> steps,
                                                        std::int64_t target);

// Weights w of a ridge regression on Chebyshev polynomials of the first kind: the value at `target`
// of Σ c_j T_j fitted to samples at `steps` is Σ w_i · sample_i. Steps 0 … num_steps − 1 map to
// [−1, 1]. w = Φ (ΦᵀΦ + ridge · I)⁻¹ φ(target), in f64.
[[nodiscard]] std::vector<double> chebyshev_weights(std::span<const std::int64_t> steps,
                                                    const RebuildAt& at,
                                                    const Rebuild::Chebyshev& fit);

}  // namespace bw
