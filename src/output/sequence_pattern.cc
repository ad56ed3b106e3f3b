#include "output/sequence_pattern.h"

#include <string_view>

namespace bw {

std::optional<SequencePattern> SequencePattern::parse(const std::filesystem::path& path) {
  const std::string file_name = path.filename().string();
  const std::size_t percent = file_name.find('%');
  if (percent == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(file_name).substr(percent + 1);
  SequencePattern pattern;
  if (rest.size() >= 2 && rest[0] == '0' && rest[1] >= '1' && rest[1] <= '9') {
    pattern.digits_ = static_cast<std::size_t>(rest[1] - '0');
    rest.remove_prefix(2);
  }
  if (!rest.starts_with('d') || rest.find('%') != std::string_view::npos) return std::nullopt;
  pattern.folder_ = path.parent_path();
  pattern.before_ = file_name.substr(0, percent);
  pattern.after_ = rest.substr(1);
  return pattern;
}

std::filesystem::path SequencePattern::name(std::int64_t frame) const {
  std::string number = std::to_string(frame);
  if (number.size() < digits_) number.insert(0, digits_ - number.size(), '0');
  return folder_ / (before_ + number + after_);
}

}  // namespace bw
