// The clips that `compare` takes: files or folders of them, read and measured. Read
// quality/compare.h for the numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quality/clip_set.h"

namespace bw {

struct ClipPair {
  std::string name;  // of the clip: the video's file name
  std::filesystem::path reference;
  std::filesystem::path video;
};

// One pair of files; or of two folders the clips of one name (videos, latents, and PNG sequences
// that begin at 0 or 1), sorted. Throws InputError when a folder meets a file, a folder holds no
// clip, or a name is missing on one side.
[[nodiscard]] std::vector<ClipPair> pair_clips(const std::filesystem::path& reference,
                                               const std::filesystem::path& video);

// Reads and measures one pair: what `chosen` names, or the usual metrics when it is empty, and in
// any case those in `also`. Throws InputError naming both files.
[[nodiscard]] ClipResult compare_pair(const ClipPair& pair, std::span<const MetricInfo> chosen,
                                      std::span<const MetricInfo> also);

// Seconds of denoising from the report beside a video, where there is one.
[[nodiscard]] std::optional<double> denoise_seconds(std::filesystem::path video);

}  // namespace bw
