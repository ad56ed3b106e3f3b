// How a reused segment gets its value from what was kept at earlier computed steps. Orthogonal to
// policies. Read rebuild.cc for the table of rules and history.h for what keeps the tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"
#include "bundle/denoiser.h"

namespace bw {

// What was kept of one computed step. `value` is the segment's output, or output − input.
struct Sample {
  std::int64_t step = 0;
  Hidden value;
};

// Immutable. The default holds the output.
class Rebuild {
 public:
  Rebuild() = default;
  // "output", "residual", "linear" (= taylor:1) or "taylor:n", 1 <= n <= kMaxOrder. The rules after
  // "output" keep output − input; `taylor` extrapolates it in the step index through the last n+1
  // computed steps (Newton's divided differences, so gaps may be uneven).
  [[nodiscard]] static Rebuild parse(std::string_view text, const Origin& origin);
  // For the command line: what `parse` takes.
  static constexpr std::string_view kForm = "output, residual, linear or taylor:n (n = 1 … 4)";
  static constexpr int kMaxOrder = 4;

  [[nodiscard]] std::string name() const;
  // Steps kept: order + 1.
  [[nodiscard]] std::size_t depth() const { return static_cast<std::size_t>(order_) + 1; }
  // Whether value() needs the segment's live input.
  [[nodiscard]] bool uses_input() const { return residual_; }
  // What value() would need without an input: predictions (sites kGuided, kBranch) have none.
  [[nodiscard]] Rebuild without_input() const;

  // What to keep. One tensor per stream, in the dtype of the output.
  [[nodiscard]] Hidden keep(const Hidden& input, const Hidden& output) const;
  // The segment's value at `step`. samples: newest first, 1 … depth() of them; fewer than depth()
  // lower the order. `input` may be empty unless uses_input(). Extrapolates in fp32.
  [[nodiscard]] Hidden value(std::span<const Sample> samples, std::int64_t step,
                             const Hidden& input) const;

 private:
  bool residual_ = false;
  int order_ = 0;
};

// Weights w with p(target) = Σ w_i·p(steps_i) for every polynomial p of degree < steps.size(); the
// steps are distinct.
[[nodiscard]] std::vector<double> extrapolation_weights(std::span<const std::int64_t> steps,
                                                        std::int64_t target);

}  // namespace bw
