#include "bundle/bundle.h"

#include <malloc.h>

#include "base/check.h"
#include "base/error.h"
#include "base/files.h"
#include "bundle/code_library.h"
#include "torchscript/archive.h"
#include "torchscript/safetensors.h"

namespace bw {
namespace {

WeightSet map_weights(const Manifest& manifest) {
  std::vector<std::filesystem::path> files;
  for (const HashedFile& file : manifest.weights) files.push_back(manifest.directory / file.file);
  return WeightSet(files);
}

void verify_file(const Manifest& manifest, const HashedFile& file) {
  const std::filesystem::path path = manifest.directory / file.file;
  const std::string found = sha256_file(path);
  if (found == file.sha256) return;
  throw InputError(path.string() + ": sha256 is " + found + ", the manifest says " + file.sha256 +
                   "; the file was changed or damaged, copy or download it again");
}

}  // namespace

Manifest Bundle::open(const std::filesystem::path& directory) { return read_manifest(directory); }

std::shared_ptr<const Bundle> Bundle::load(Manifest manifest, const LoadOptions& options) {
  set_up_executor();
  const std::shared_ptr<Bundle> bundle(new Bundle(std::move(manifest)));
  const Manifest& parts = bundle->manifest_;
  bundle->dtype_ = options.dtype;
  const WeightSet weights = map_weights(parts);
  bundle->device_ = options.device;
  DeviceCopies copies(options.device, options.count_only);
  const Execution execution{.dtype = options.dtype,
                            .rewrite = options.rewrite,
                            .int8 = options.int8,
                            .int8_variant = options.int8_variant,
                            .copies = &copies};
  if (options.with_denoiser) {
    bundle->denoiser_ = std::make_unique<const Denoiser>(parts, execution, weights);
  }
  if (options.with_text_encoder && !parts.text_encoder.empty()) {
    bundle->text_encoder_ = std::make_unique<const TextEncoder>(parts, execution, weights);
  }
  if (options.with_decoder && !parts.decoder.empty()) {
    bundle->video_decoder_ = std::make_unique<const VideoDecoder>(parts, execution, weights);
  }
  bundle->weight_bytes_ = copies.bytes();
  // What a conversion freed stays with the allocator otherwise: tens of MB for a wide model.
  malloc_trim(0);
  return bundle;
}

const Denoiser& Bundle::denoiser() const {
  BW_CHECK(denoiser_ != nullptr, "the bundle was loaded without its denoiser");
  return *denoiser_;
}

void verify_files(const Manifest& manifest, const std::function<void(const HashedFile&)>& report) {
  const auto verify = [&](const HashedFile& file) {
    verify_file(manifest, file);
    report(file);
  };
  for (const auto& [name, files] : manifest.code) {
    for (const auto& [dtype, file] : files) verify(file);
  }
  for (const HashedFile& file : manifest.weights) verify(file);
}

}  // namespace bw
