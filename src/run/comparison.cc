#include "run/comparison.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "output/video_reader.h"
#include "run/latents.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr std::array kExtensions = {".mp4", ".mkv", ".webm",       ".mov",
                                    ".avi", ".y4m", ".safetensors"};

using Clips = std::map<std::string, fs::path>;  // by name

struct Clip {
  at::Tensor data;  // uint8 [n,H,W,3] or f32 [1,C,F,H,W]
  std::optional<double> fps;
};

Clip read_clip(const fs::path& path) {
  if (path.extension() == ".safetensors") return {read_latents(path).latents, std::nullopt};
  const Video video = read_video(path);
  return {video.frames, video.info.fps};
}

std::string rate(double fps) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6g frames per second", fps);
  return text.data();
}

// "shot_%04d.png" of the first picture of a sequence, "" of any other file.
std::string sequence_of(const fs::path& picture) {
  const std::string stem = picture.stem().string();
  const std::size_t begin = stem.find_last_not_of("0123456789") + 1;
  const std::string digits = stem.substr(begin);
  const bool is_first = !digits.empty() && digits.find_first_not_of('0') >= digits.size() - 1 &&
                        (digits.back() == '0' || digits.back() == '1');
  if (!is_first) return "";
  std::string pattern = stem.substr(0, begin);
  pattern += digits.size() == 1 ? "%d" : "%0" + std::to_string(digits.size()) + "d";
  return pattern + ".png";
}

Clips clips_in(const fs::path& folder) {
  Clips clips;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const fs::path& path = entry.path();
    std::string name = path.filename().string();
    if (path.extension() == ".png") {
      name = sequence_of(path);
    } else if (std::ranges::find(kExtensions, path.extension().string()) == kExtensions.end()) {
      continue;
    }
    if (!name.empty()) clips.emplace(name, folder / name);
  }
  if (!clips.empty()) return clips;
  throw InputError(folder.string() +
                   ": holds no clip (videos, .safetensors of --save-latents, PNG sequences that "
                   "begin at 0 or 1)");
}

// "a.mp4, b.mp4 and 7 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    if (i > 0) text += ", ";
    text += names[i];
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

std::vector<std::string> missing_in(const Clips& other, const Clips& clips) {
  std::vector<std::string> names;
  for (const auto& [name, path] : clips) {
    if (!other.contains(name)) names.push_back(name);
  }
  return names;
}

void check_all_paired(const fs::path& reference, const Clips& in_reference, const fs::path& video,
                      const Clips& in_video) {
  const std::vector<std::string> only_reference = missing_in(in_video, in_reference);
  const std::vector<std::string> only_video = missing_in(in_reference, in_video);
  if (only_reference.empty() && only_video.empty()) return;
  std::string text = reference.string();
  text += " and " + video.string() + ": ";
  text += only_reference.size() == in_reference.size() ? "no clip has the same name in both; "
                                                       : "not every clip has a partner; ";
  if (!only_reference.empty()) text += "only in the first: " + listed(only_reference);
  if (!only_reference.empty() && !only_video.empty()) text += "; ";
  if (!only_video.empty()) text += "only in the second: " + listed(only_video);
  throw InputError(text);
}

}  // namespace

std::vector<ClipPair> pair_clips(const fs::path& reference, const fs::path& video) {
  const bool folders = fs::is_directory(reference);
  if (folders != fs::is_directory(video)) {
    throw InputError((folders ? reference : video).string() + ": is a folder, but " +
                     (folders ? video : reference).string() +
                     " is none; give two clips or two folders");
  }
  if (!folders) return {{video.filename().string(), reference, video}};
  const Clips in_reference = clips_in(reference);
  const Clips in_video = clips_in(video);
  check_all_paired(reference, in_reference, video, in_video);
  std::vector<ClipPair> pairs;
  for (const auto& [name, path] : in_reference) pairs.push_back({name, path, in_video.at(name)});
  return pairs;
}

ClipResult compare_pair(const ClipPair& pair, std::span<const MetricInfo> chosen,
                        std::span<const MetricInfo> also) {
  const Clip reference = read_clip(pair.reference);
  const Clip video = read_clip(pair.video);
  const std::string names = pair.video.string() + " against " + pair.reference.string() + ": ";
  if (reference.fps && video.fps && *reference.fps != *video.fps) {
    throw InputError(names + rate(*video.fps) + " against " + rate(*reference.fps));
  }
  std::vector<MetricInfo> all(chosen.begin(), chosen.end());
  if (all.empty()) all = usual_metrics(video.data);
  for (const MetricInfo& metric : also) {
    if (std::ranges::find(all, metric.name, &MetricInfo::name) == all.end()) all.push_back(metric);
  }
  try {
    return {pair.name, compare(video.data, reference.data, all)};
  } catch (const InputError& error) {
    throw InputError(names + error.what());
  }
}

std::optional<double> denoise_seconds(fs::path video) {
  const fs::path name = video.filename();
  const fs::path report = video.replace_extension(".json");
  if (!fs::exists(report)) return std::nullopt;
  const Json json = read_json_file(report);
  const auto pointer = Json::json_pointer("/timings/denoise");
  const auto path = Json::json_pointer("/output/path");
  if (!json.contains(pointer) || !json.at(pointer).is_number()) return std::nullopt;
  // Two videos that differ in their extension alone share the name of their report.
  const bool is_its = json.contains(path) && json.at(path).is_string() &&
                      fs::path(json.at(path).get<std::string>()).filename() == name;
  if (!is_its) return std::nullopt;
  return json.at(pointer).get<double>();
}

}  // namespace bw
