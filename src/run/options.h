// The table of everything a user may ask of a run. One row serves the command line, the JSON
// config, `list`, help and the messages of errors. Read run/request.h for how values are kept,
// run/resolve.h for how they become a plan.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/params.h"

namespace bw {

enum class OptionKind { kText, kPath, kInteger, kNumber, kFlag, kChoice, kBytes, kCache };
enum class OptionGroup { kPrompt, kModel, kClip, kSampling, kCache, kOutput };

struct OptionInfo {
  std::string_view key;    // in a config file: "num_frames"
  std::string_view flags;  // on the command line, the documented one first: "--num-frames,--frames"
  OptionKind kind = OptionKind::kText;
  OptionGroup group = OptionGroup::kClip;
  Range range;                       // integers and numbers
  std::vector<std::string> choices;  // kChoice
  std::string_view meaning;          // says what the default is when it is no plain value
};

[[nodiscard]] std::span<const OptionInfo> options();
[[nodiscard]] const OptionInfo* find_option(std::string_view key);
[[nodiscard]] std::string_view group_title(OptionGroup group);
// "--num-frames", the documented flag of a row.
[[nodiscard]] std::string main_flag(const OptionInfo& option);

// Checks one value against its row and returns it in its proper JSON type (texts such as "30"
// become numbers).
[[nodiscard]] Json check_option(const OptionInfo& option, const Json& value, const Origin& origin);

// "512MiB", "2GB", "1048576" as bytes.
[[nodiscard]] std::uint64_t parse_bytes(std::string_view text, const Origin& origin);

}  // namespace bw
