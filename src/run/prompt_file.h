// The prompts that a command runs on, and with which seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bw {

// One prompt per line; empty lines and lines that begin with '#' are passed over. In a file named
// .jsonl a line is an object with the text `prompt`; other keys are the owner's. Throws InputError
// with the number of a line that is no UTF-8, no such object, or longer than 10 000 bytes, and when
// there is no prompt at all.
[[nodiscard]] std::vector<std::string> read_prompts(const std::filesystem::path& file);

// "1,2,5": at least one, each once. Throws UsageError naming `flag`.
[[nodiscard]] std::vector<std::int64_t> parse_seeds(const std::string& text,
                                                    const std::string& flag);

}  // namespace bw
