#include "bundle/manifest.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "bundle/manifest_reader.h"
#include "bundle/model_schema.h"

namespace bw {
namespace {

constexpr std::uintmax_t kMaxManifestBytes = 16 << 20;
constexpr std::size_t kMaxTextBytes = 10'000;
constexpr std::size_t kMaxDepth = 32;
constexpr std::int64_t kMaxPixels = 16'384;
constexpr std::int64_t kMaxFrames = 100'000;
constexpr std::int64_t kMaxPatch = 4096;

struct DtypeName {
  const char* name;
  const char* short_name;
  at::ScalarType type;
};

constexpr std::array<DtypeName, 3> kDtypes = {{
    {"float32", "fp32", at::kFloat},
    {"bfloat16", "bf16", at::kBFloat16},
    {"float16", "fp16", at::kHalf},
}};

std::string read_manifest_text(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "model.json";
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    throw InputError(directory.string() +
                     ": is no model bundle; a bundle is a folder with a model.json");
  }
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) throw InputError(path.string() + ": is missing, so this folder is no model bundle");
  if (bytes > kMaxManifestBytes) {
    throw InputError(path.string() + ": has " + format_bytes(bytes) + "; the limit is " +
                     format_bytes(kMaxManifestBytes));
  }
  return read_file(path);
}

// Bounds what later walks recurse over: the depth, and every text, since the schema's patterns are
// matched with one stack frame per character.
void check_bounds(const Json& json, const Origin& origin, std::size_t depth = 0) {
  if (json.is_string() && json.get_ref<const std::string&>().size() > kMaxTextBytes) {
    reject(origin, "is longer than " + std::to_string(kMaxTextBytes) + " bytes");
  }
  if (!json.is_structured()) return;
  if (depth == kMaxDepth) {
    reject(origin, "is nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  for (const auto& [key, value] : json.items()) {
    check_bounds(value, origin.at(json.is_array() ? "[" + key + "]" : key), depth + 1);
  }
}

// Values of the form step·k + offset (0 <= offset < step), at least `smallest`.
struct Progression {
  std::int64_t step = 1;
  std::int64_t offset = 0;
  std::int64_t smallest = 1;
  std::int64_t largest = 1;
};

std::string describe(const Progression& rule) {
  if (rule.offset == 0) return "a multiple of " + std::to_string(rule.step);
  return std::to_string(rule.step) + "k+" + std::to_string(rule.offset);
}

void check_progression(std::int64_t value, const Progression& rule, const Origin& origin) {
  const bool fits =
      value >= rule.smallest && value <= rule.largest && (value - rule.smallest) % rule.step == 0;
  if (fits) return;
  const std::int64_t inside = std::clamp(value, rule.smallest, rule.largest);
  const std::int64_t below = inside - (inside - rule.smallest) % rule.step;
  const std::int64_t above = below + rule.step;
  std::string nearest = std::to_string(below);
  if (value > below && above <= rule.largest) nearest += " or " + std::to_string(above);
  reject(origin, "must be " + describe(rule) + " from " + std::to_string(rule.smallest) +
                     " for this model (got " + std::to_string(value) + "); use " + nearest);
}

// Least common multiple of the streams' patches along one axis (0 frames, 1 rows, 2 columns).
std::int64_t patch_of(const Manifest& manifest, std::size_t axis) {
  std::int64_t patch = 1;
  for (const StreamInfo& stream : manifest.streams) {
    if (!stream.is_text) patch = std::lcm(patch, stream.patch.at(axis));
    if (patch > kMaxPatch) {
      throw InputError((manifest.directory / "model.json").string() +
                       ": streams: the patches have no common multiple up to " +
                       std::to_string(kMaxPatch));
    }
  }
  return patch;
}

void check_pixels(std::int64_t value, std::int64_t multiple, const Origin& origin) {
  const std::int64_t largest = std::max(multiple, kMaxPixels / multiple * multiple);
  check_progression(value, {multiple, 0, multiple, largest}, origin);
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& directory) {
  const std::string text = read_manifest_text(directory);
  const Origin origin = Origin::file((directory / "model.json").string() + ": ");
  Manifest manifest;
  manifest.directory = directory;
  manifest.hash = sha256(text);
  manifest.json = parse_json(text, origin);
  check_bounds(manifest.json, origin);
  // Our own reader first: it knows the nearest key. The schema then checks what it left open.
  parse_manifest(manifest.json, origin, manifest);
  check_references(manifest, origin);
  check_model_schema(manifest.json, origin);
  return manifest;
}

LatentShape latent_shape(const Manifest& manifest, const ClipSize& size, const ClipOrigin& origin) {
  const LatentGeometry& latent = manifest.latent;
  check_pixels(size.width, latent.spatial_stride * patch_of(manifest, 2), origin.width);
  check_pixels(size.height, latent.spatial_stride * patch_of(manifest, 1), origin.height);
  // num_frames = temporal_stride·F − leading_frames, F a multiple of the patch, at least one frame
  // left.
  const std::int64_t step = latent.temporal_stride * patch_of(manifest, 0);
  BW_CHECK(step > 0, "the manifest's strides and patches were checked when it was read");
  std::int64_t smallest = step - latent.leading_frames % step;
  const std::int64_t offset = smallest % step;
  smallest = offset == 0 ? step : offset;
  check_progression(size.num_frames, {step, offset, smallest, std::max(kMaxFrames, smallest)},
                    origin.num_frames);
  return {.channels = latent.channels,
          .frames = (size.num_frames + latent.leading_frames) / latent.temporal_stride,
          .height = size.height / latent.spatial_stride,
          .width = size.width / latent.spatial_stride};
}

ClipSize clip_size(const Manifest& manifest, const LatentShape& shape) {
  const LatentGeometry& latent = manifest.latent;
  return {.width = shape.width * latent.spatial_stride,
          .height = shape.height * latent.spatial_stride,
          .num_frames = shape.frames * latent.temporal_stride - latent.leading_frames};
}

std::string weights_hash(const Manifest& manifest) {
  if (manifest.weights.size() == 1) return manifest.weights.front().sha256;
  std::string lines;
  for (const HashedFile& file : manifest.weights) lines += file.sha256 + '\n';
  return sha256(lines);
}

std::size_t expert_at(std::span<const Expert> experts, double timestep) {
  const auto holds = [timestep](const Expert& e) { return e.from >= timestep && timestep >= e.to; };
  const auto found = std::ranges::find_if(experts, holds);
  if (found == experts.end()) {
    throw InputError("no expert of the bundle covers the time step " + Json(timestep).dump() +
                     " (model.json: experts[].from, to)");
  }
  return static_cast<std::size_t>(found - experts.begin());
}

std::int64_t num_tokens(const Manifest& manifest, const StreamInfo& stream,
                        const LatentShape& shape) {
  if (stream.is_text) return manifest.text_tokens;
  return (shape.frames / stream.patch[0]) * (shape.height / stream.patch[1]) *
         (shape.width / stream.patch[2]);
}

std::vector<std::int64_t> hidden_bytes(const Manifest& manifest, const LatentShape& shape,
                                       at::ScalarType dtype, std::int64_t batch) {
  std::vector<std::int64_t> bytes;
  const auto element = static_cast<std::int64_t>(c10::elementSize(dtype));
  for (const StreamInfo& stream : manifest.streams) {
    bytes.push_back(batch * num_tokens(manifest, stream, shape) * stream.dim * element);
  }
  return bytes;
}

std::vector<std::string> runnable_dtypes(const Manifest& manifest) {
  std::vector<std::string> names;
  for (const DtypeName& dtype : kDtypes) {
    const bool everywhere = std::ranges::all_of(
        manifest.code, [&](const auto& entry) { return entry.second.contains(dtype.name); });
    if (everywhere) names.emplace_back(dtype.name);
  }
  return names;
}

at::ScalarType find_dtype(const Manifest& manifest, const std::string& name, const Origin& origin) {
  const std::vector<std::string> runnable = runnable_dtypes(manifest);
  for (const DtypeName& dtype : kDtypes) {
    if (name != dtype.name && name != dtype.short_name) continue;
    if (std::ranges::find(runnable, dtype.name) != runnable.end()) return dtype.type;
    reject(origin, "the bundle '" + manifest.name + "' has no code for '" + name + "'" +
                       known_names_hint("", runnable));
  }
  reject(origin, "unknown dtype '" + name + "'" + known_names_hint(name, runnable));
}

}  // namespace bw
