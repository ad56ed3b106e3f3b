#include "output/sequence_pattern.h"

#include <regex>

namespace bw {

std::optional<SequencePattern> SequencePattern::parse(const std::filesystem::path& path) {
  static const std::regex kForm("([^%]*)%(?:0([1-9]))?d([^%]*)");
  const std::string file_name = path.filename().string();
  std::smatch match;
  if (!std::regex_match(file_name, match, kForm)) return std::nullopt;
  SequencePattern pattern;
  pattern.folder_ = path.parent_path();
  pattern.before_ = match[1].str();
  pattern.after_ = match[3].str();
  if (match[2].matched) pattern.digits_ = static_cast<std::size_t>(match[2].str().front() - '0');
  return pattern;
}

std::filesystem::path SequencePattern::name(std::int64_t frame) const {
  std::string number = std::to_string(frame);
  if (number.size() < digits_) number.insert(0, digits_ - number.size(), '0');
  return folder_ / (before_ + number + after_);
}

}  // namespace bw
