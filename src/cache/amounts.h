// Parameters that are an amount of steps or a set of blocks, stages or steps, written as text: "3",
// "10%", "0+3+5". Each has a check of its form, which needs no model, and a resolution against the
// run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"

namespace bw {

// Steps: "3" or "10%" of all steps, rounded to the nearest, at least 1.
inline constexpr std::string_view kStepCountForm = "a number of steps (3) or a percentage (10%)";
void check_step_count(std::string_view text, const Origin& origin);
[[nodiscard]] std::int64_t step_count(std::string_view text, std::int64_t num_steps,
                                      const Origin& origin);

// Blocks: "all", "50%" (that share, at least one, evenly spread) or a list "0+3+5".
inline constexpr std::string_view kBlockSetForm =
    "all, a percentage (50%, evenly spread) or a list (0+3+5)";
void check_block_set(std::string_view text, const Origin& origin);
// Ascending; a listed block that the model lacks is rejected.
[[nodiscard]] std::vector<std::size_t> block_set(std::string_view text, std::size_t num_blocks,
                                                 const Origin& origin);

// Blocks next to each other: "14" or "50%" of all blocks, rounded to the nearest, at least 1.
inline constexpr std::string_view kBlockCountForm = "a number of blocks (14) or a percentage (50%)";
void check_block_count(std::string_view text, const Origin& origin);
// More than the model has is rejected.
[[nodiscard]] std::size_t block_count(std::string_view text, std::size_t num_blocks,
                                      const Origin& origin);

// Stages: "all" or names "self_attention+feed_forward".
inline constexpr std::string_view kStageSetForm =
    "all or names of stages (self_attention+feed_forward)";
// The names, each once and in the order given; empty for all.
[[nodiscard]] std::vector<std::string> stage_names(std::string_view text, const Origin& origin);

// Steps: a list of steps and ranges "3+4+7-9", ascending; empty text is the empty list.
inline constexpr std::string_view kStepListForm = "a list of steps and ranges (3+4+7-9)";
[[nodiscard]] std::vector<std::int64_t> step_list(std::string_view text, const Origin& origin);

}  // namespace bw
