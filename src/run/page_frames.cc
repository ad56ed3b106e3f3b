#include "run/page_frames.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "output/png.h"
#include "output/video_reader.h"
#include "run/page_parts.h"

namespace bw {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kChunk = 16;            // frames read at a time
constexpr std::int64_t kThumbnailWidth = 192;  // pixels
constexpr std::int64_t kFramesOfRun = 12;
constexpr std::uint64_t kLargestClip = 64 << 20;  // bytes inside a page

// Without enlarging.
at::Tensor thumbnail(const at::Tensor& frame) {
  const std::int64_t width = frame.size(1);
  if (width <= kThumbnailWidth) return frame.contiguous();
  const std::int64_t height = std::max<std::int64_t>(1, frame.size(0) * kThumbnailWidth / width);
  const at::Tensor planes = frame.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
  const at::Tensor small =
      at::_upsample_bilinear2d_aa(planes, {height, kThumbnailWidth}, /*align_corners=*/false);
  return small.round().clamp(0, 255).to(at::kByte).squeeze(0).permute({1, 2, 0}).contiguous();
}

}  // namespace

std::vector<std::int64_t> spread_frames(std::int64_t num_frames, std::int64_t count) {
  std::vector<std::int64_t> indices;
  const std::int64_t taken = std::min(num_frames, count);
  for (std::int64_t i = 0; i < taken; ++i)
    indices.push_back(taken == 1 ? 0 : i * (num_frames - 1) / (taken - 1));
  return indices;
}

SampledFrames sample_frames(const fs::path& video, std::int64_t count) {
  const std::unique_ptr<VideoReader> reader = open_video(video);
  SampledFrames sampled{spread_frames(reader->info().num_frames, count), {}};
  std::int64_t begin = 0;
  while (sampled.frames.size() < sampled.indices.size()) {
    const at::Tensor chunk = reader->read(kChunk);
    if (chunk.size(0) == 0) throw InputError(video.string() + ": ends too early");
    const std::int64_t end = begin + chunk.size(0);
    while (sampled.frames.size() < sampled.indices.size() &&
           sampled.indices[sampled.frames.size()] < end) {
      sampled.frames.push_back(chunk[sampled.indices[sampled.frames.size()] - begin].clone());
    }
    begin = end;
  }
  return sampled;
}

ContactSheet sheet_of(const std::string& name, const SampledFrames& frames) {
  ContactSheet sheet{name, {}};
  for (std::size_t i = 0; i < frames.frames.size(); ++i)
    sheet.thumbnails.push_back({frames.indices[i], encode_png({thumbnail(frames.frames[i]), {}})});
  return sheet;
}

DifferenceSheet difference_sheet(const SampledFrames& a, const SampledFrames& b) {
  SampledFrames differences{a.indices, {}};
  for (std::size_t i = 0; i < a.frames.size(); ++i)
    differences.frames.push_back((a.frames[i].to(at::kInt) - b.frames.at(i).to(at::kInt)).abs());
  const at::Tensor all = at::stack(differences.frames).flatten();
  const auto rank = static_cast<std::int64_t>(std::ceil(0.99 * static_cast<double>(all.numel())));
  const auto strong = std::get<0>(all.kthvalue(rank)).item<std::int64_t>();
  DifferenceSheet result;
  result.gain = 255 / std::max<std::int64_t>(strong, 1);
  for (at::Tensor& frame : differences.frames)
    frame = (frame * result.gain).clamp_max(255).to(at::kByte);
  result.sheet = sheet_of("difference", differences);
  return result;
}

fs::path find_video(const RunFigures& run, const fs::path& file) {
  const fs::path beside = file.parent_path() / run.video.filename();
  const bool is_pattern = run.video_bytes == 0;  // a PNG sequence, or a video that is `file` itself
  std::error_code missing;
  for (const fs::path& place : {beside, run.video}) {
    if (is_pattern) {
      try {
        (void)open_video(place);
        return place;
      } catch (const InputError&) {
        continue;  // not there; the other place may have it
      }
    }
    const std::uintmax_t bytes = fs::file_size(place, missing);
    if (missing) continue;
    if (bytes == run.video_bytes) return place;
    throw InputError(place.string() + ": is not the video of this run: it has " +
                     std::to_string(bytes) + " bytes, the report says " +
                     std::to_string(run.video_bytes));
  }
  throw InputError(run.video.string() + ": the video of this run is neither there nor beside " +
                   file.string());
}

RunPictures run_pictures(const RunFigures& run, const fs::path& file) {
  RunPictures pictures;
  try {
    const fs::path video = find_video(run, file);
    const SampledFrames frames = sample_frames(video, kFramesOfRun);
    if (video.extension() == ".mp4") {
      const std::uint64_t bytes = fs::file_size(video);
      if (bytes <= kLargestClip) {
        pictures.markup = clip_player("video/mp4", read_file(video));
      } else {
        pictures.missing = "the clip is not in the page, since it has " + format_bytes(bytes) +
                           ", more than " + format_bytes(kLargestClip) + "; see " + video.string();
      }
    } else {
      pictures.missing =
          "the clip is not in the page, since browsers play MP4 alone; see " + video.string();
    }
    pictures.markup += contact_sheet(sheet_of(video.filename().string(), frames));
  } catch (const InputError& error) {
    pictures.missing = std::string("no frames: ") + error.what();
  }
  return pictures;
}

FrameQuality quality_of(const MetricResult& result, const std::string& clip) {
  const std::string direction = direction_of(find_metric(result.name, Origin::file("metric")));
  return {result.name, result.unit, direction, {{clip, result.values}}};
}

std::vector<FrameQuality> measure_frames(const fs::path& video, const fs::path& reference,
                                         const std::string& clip) {
  const Video measured = read_video(video);
  const std::vector<MetricInfo> usual = usual_metrics(measured.frames);
  std::vector<FrameQuality> qualities;
  for (const MetricResult& result : compare(measured.frames, read_video(reference).frames, usual)) {
    if (result.value_of != ValueOf::kClip) qualities.push_back(quality_of(result, clip));
  }
  return qualities;
}

}  // namespace bw
