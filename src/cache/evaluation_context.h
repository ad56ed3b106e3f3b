// What a policy knows about one evaluation of the model before it runs. Read cache_policy.h next.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bw {

// A branch of classifier-free guidance. Every cached tensor belongs to a named branch; a branch is
// never inferred from the number of calls.
enum class Branch : std::uint8_t { kCond = 0, kUncond = 1 };

inline constexpr std::size_t kNumBranches = 2;
inline constexpr std::array<Branch, kNumBranches> kBranches = {Branch::kCond, Branch::kUncond};

[[nodiscard]] constexpr std::size_t index_of(Branch branch) {
  return static_cast<std::size_t>(branch);
}
[[nodiscard]] constexpr std::string_view branch_name(Branch branch) {
  return branch == Branch::kCond ? "cond" : "uncond";
}

// How the latents z and the conditional prediction v move; means of absolute values. Measured where
// CacheNeeds::latents asks for it.
struct LatentSignals {
  double change = 0;           // |z_k − z_{k−1}|, the step before being computed or not
  double size = 0;             // |v| at the last computed step
  std::optional<double> rate;  // |v − v'| / |z − z'| between the last two computed steps
};

struct EvaluationContext {
  std::int64_t index = 0;  // position in the schedule's evaluations
  std::int64_t step = 0;   // scheduler step, 0 = noisiest
  std::int64_t num_steps = 0;
  int part = 0;  // 0, or 1 for the second evaluation of a Heun step
  double sigma = 0;
  double timestep = 0;                                  // what the model is given, 0 … 1000
  std::size_t expert = 0;                               // which list of blocks runs
  bool guided = false;                                  // the unconditional branch takes part
  std::optional<LatentSignals> latents = std::nullopt;  // part 0, known when the evaluation begins
};

}  // namespace bw
