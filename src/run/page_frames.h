// The frames of videos for pages: contact sheets, the clip itself, and how far two videos are
// apart. Read output/video_reader.h for where they come from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "page/frame_quality.h"
#include "page/frames.h"
#include "quality/compare.h"
#include "run/run_figures.h"

namespace bw {

// `count` frames at most, evenly spread from the first to the last.
[[nodiscard]] std::vector<std::int64_t> spread_frames(std::int64_t num_frames, std::int64_t count);

// Some frames of a video, none larger in memory than one chunk of it.
struct SampledFrames {
  std::vector<std::int64_t> indices;
  std::vector<at::Tensor> frames;  // uint8 [H,W,3] each
};
// Throws InputError.
[[nodiscard]] SampledFrames sample_frames(const std::filesystem::path& video, std::int64_t count);

// Shrunk to the size of a thumbnail.
[[nodiscard]] ContactSheet sheet_of(const std::string& name, const SampledFrames& frames);

// |a − b| of the same frames, times a whole number `gain`, below 256 for 99 of 100 values; the
// others are cut there. At least one frame.
struct DifferenceSheet {
  ContactSheet sheet;
  std::int64_t gain = 1;
};
[[nodiscard]] DifferenceSheet difference_sheet(const SampledFrames& a, const SampledFrames& b);

// The pictures of a run as markup, or why there are none.
struct RunPictures {
  std::string markup;
  std::string missing;  // "" when everything is there
};
[[nodiscard]] RunPictures run_pictures(const RunFigures& run, const std::filesystem::path& file);

// The video of a run: beside `file`, else where the run wrote it. Throws InputError when it is gone
// or another one lies in its place.
[[nodiscard]] std::filesystem::path find_video(const RunFigures& run,
                                               const std::filesystem::path& file);

// A metric's values over the frames of one clip.
[[nodiscard]] FrameQuality quality_of(const MetricResult& result, const std::string& clip);

// Every metric that is defined for the size, frame by frame. Throws InputError when the videos
// differ in size or length.
[[nodiscard]] std::vector<FrameQuality> measure_frames(const std::filesystem::path& video,
                                                       const std::filesystem::path& reference,
                                                       const std::string& clip);

}  // namespace bw
