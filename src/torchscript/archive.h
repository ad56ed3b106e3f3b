// Loads TorchScript archives of untrusted bundles: hash, scan, load, device constants; and sets the
// executor up. Read archive_scan.h for what is refused, signature.h for the methods, bind.h for the
// weights.
#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <string>

namespace bw {

struct ArchiveFile {
  std::filesystem::path path;
  std::string sha256;  // lower-case hexadecimal, from the manifest
};

// Loads and returns the module, in evaluation mode, its constants rewritten to `device`; parameters
// and buffers stay on the CPU until bind_weights. One mapping of the file is hashed, scanned and
// loaded. Throws InputError naming the file.
[[nodiscard]] torch::jit::Module load_archive(const ArchiveFile& archive, c10::Device device);

// Chooses the executor that neither profiles nor fuses: the default recompiles every block at its
// second call and at every new shape, seconds per block. Must run before the first call of any
// method; load_archive does it. Process-wide.
void set_up_executor();

}  // namespace bw
