// The names of a sequence of pictures: "shot_%04d.png" is shot_0000.png, shot_0001.png, …
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace bw {

class SequencePattern {
 public:
  // Accepts exactly one "%d" or "%0Nd" (N 1 to 9), in the file name; its folder is taken as it is.
  // Otherwise nothing.
  [[nodiscard]] static std::optional<SequencePattern> parse(const std::filesystem::path& path);
  [[nodiscard]] std::filesystem::path name(std::int64_t frame) const;

 private:
  SequencePattern() = default;
  std::filesystem::path folder_;
  std::string before_;
  std::string after_;
  std::size_t digits_ = 1;
};

}  // namespace bw
