// LPIPS (Zhang et al., 2018) with the AlexNet trunk, version 0.1, as the shared evaluation scripts
// call it (spatial=True): per layer, the weighted squared difference of unit-normalised features is
// scaled up to the frame, summed over layers and averaged over pixels. The network is an asset that
// `make lpips` makes (models/export/lpips.py); its code and weights are loaded guarded, as a
// bundle's are.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "quality/metric.h"
#include "torchscript/archive.h"
#include "torchscript/call.h"
#include "torchscript/signature.h"

namespace bw {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "BWCACHE_LPIPS";
constexpr const char* kManifest = "lpips.json";
// The trunk pools 31 pixels to one; smaller frames leave nothing.
constexpr int kMinSide = 31;
// Frames of 832x480 that are measured at once: more would only hold more memory.
constexpr std::int64_t kPixelsAtOnce = 2 * 832 * 480;

// The folder with lpips.json, which names the archive and its hash.
fs::path find_lpips() {
  const char* const named = std::getenv(kVariable);
  if (named != nullptr && *named != '\0') {
    if (fs::exists(fs::path(named) / kManifest)) return named;
    throw InputError(std::string("lpips: $") + kVariable + " is '" + named + "', which holds no " +
                     kManifest + "; `make lpips` makes it");
  }
  std::error_code ignored;
  std::vector<fs::path> places = {fs::read_symlink("/proc/self/exe", ignored).parent_path() /
                                  "../share/bwcache-gen/lpips"};
  if (const char* home = std::getenv("HOME"); home != nullptr) {
    places.push_back(fs::path(home) / ".cache/bwcache-gen/lpips");
  }
  std::string searched;
  for (const fs::path& place : places) {
    if (fs::exists(place / kManifest, ignored)) return place.lexically_normal();
    searched += (searched.empty() ? "'" : "' or '") + place.lexically_normal().string();
  }
  throw InputError(std::string("lpips: needs weights that are not part of the program, and they "
                               "are not in ") +
                   searched + "'; `make lpips` fetches and installs them, $" + kVariable +
                   " names another folder");
}

class Lpips {
 public:
  explicit Lpips(const fs::path& folder) : Lpips(read_manifest(folder / kManifest)) {}

  // [n] from two uint8 [n,H,W,3].
  [[nodiscard]] at::Tensor distance(const at::Tensor& video, const at::Tensor& reference) const {
    return call(distance_, {scaled(video), scaled(reference)}, path_).toTensor().to(at::kDouble);
  }

 private:
  explicit Lpips(const ArchiveFile& archive)
      : path_(archive.path.string()),
        module_(load_archive(archive, c10::Device(c10::kCPU))),
        distance_(find_method(module_,
                              {"distance",
                               {{"video", ValueKind::kTensor}, {"reference", ValueKind::kTensor}},
                               ValueKind::kTensor},
                              path_)) {}

  static ArchiveFile read_manifest(const fs::path& path) {
    const Json json = read_json_file(path);
    JsonObject object(json, Origin::file(path.string() + ": "));
    if (object.integer("format_version") != 1) {
      reject(object.at("format_version"), "must be 1; `make lpips` makes it anew");
    }
    ArchiveFile archive{path.parent_path() / fs::path(object.text("file")).filename(),
                        object.text("sha256")};
    std::ignore = object.find("source");
    object.finish();
    return archive;
  }

  // To [n,3,H,W] in [-1,1].
  static at::Tensor scaled(const at::Tensor& frames) {
    return frames.permute({0, 3, 1, 2}).to(at::kFloat).div_(127.5).sub_(1);
  }

  std::string path_;
  torch::jit::Module module_;
  torch::jit::Method distance_;
};

std::vector<double> lpips(const at::Tensor& video, const at::Tensor& reference) {
  static const Lpips kLpips(find_lpips());
  const std::int64_t at_once =
      std::max<std::int64_t>(1, kPixelsAtOnce / (video.size(1) * video.size(2)));
  std::vector<double> values;
  for (std::int64_t first = 0; first < video.size(0); first += at_once) {
    const std::int64_t count = std::min(at_once, video.size(0) - first);
    const at::Tensor distance =
        kLpips.distance(video.narrow(0, first, count), reference.narrow(0, first, count));
    const auto* data = distance.const_data_ptr<double>();
    values.insert(values.end(), data, data + count);
  }
  return values;
}

}  // namespace

MetricInfo lpips_metric() {
  return {.name = "lpips",
          .unit = "",
          .summary = "LPIPS-alex 0.1 (spatial): distance of learned features; 0 for equal frames",
          .better = Better::kLower,
          .min_side = kMinSide,
          .find_asset = find_lpips,
          .measure = lpips};
}

}  // namespace bw
