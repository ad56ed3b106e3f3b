// The search of BAC (arXiv 2506.13456) for the steps at which a stage is computed, so that the
// outputs held in between are most like those they stand for. Read calibrations/bac.cc for where
// similarities come from and cache/policies/bac.cc for what is made of the steps.
#pragma once

#include <cstddef>
#include <vector>

namespace bw {

// similarity[i][t]: of the outputs at steps i and t, t > i. Returns `count` steps, ascending from
// 0, 1 <= count <= similarity.size(), with the greatest sum of similarity[i][t] over all other
// steps t, i the last returned step before t.
[[nodiscard]] std::vector<std::size_t> update_steps(
    const std::vector<std::vector<double>>& similarity, std::size_t count);

}  // namespace bw
