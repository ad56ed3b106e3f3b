// The search of LeMiCa: which steps to compute so that the worst of the errors in between is least,
// then the second worst, and so on. Read policies/lemica.cc for where the errors come from.
#pragma once

#include <cstddef>
#include <vector>

namespace bw {

// errors[lag − 1][i]: of leaving out the steps after i up to i + lag − 1, for i + lag <= num_steps;
// infinite where that is not known. Returns the steps to compute, ascending from 0, `count` of
// them: the path from 0 to num_steps whose errors, in descending order, are lexicographically
// least; of equal ones the one that computes earlier steps. Empty when there is none of finite
// errors.
[[nodiscard]] std::vector<std::size_t> leximax_path(const std::vector<std::vector<double>>& errors,
                                                    std::size_t num_steps, std::size_t count);

}  // namespace bw
