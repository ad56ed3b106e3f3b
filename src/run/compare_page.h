// The page of a comparison of two videos: quality per frame, their frames, and where they differ.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "quality/compare.h"

namespace bw {

struct ComparedVideos {
  std::filesystem::path reference;
  std::filesystem::path video;
  std::vector<MetricResult> results;
  std::optional<double> denoise_speedup;  // from the reports beside them, where there are two
};

// Reads both videos again for their frames. Throws InputError, and OutputError for `path`.
void write_compare_page(const std::filesystem::path& path, const ComparedVideos& compared);

}  // namespace bw
