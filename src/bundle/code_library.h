// The code archives of a bundle in one dtype, each loaded once, with or without its weights.
// Read torchscript/archive.h for loading, torchscript/bind.h for the weights.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>

#include "bundle/manifest.h"
#include "torchscript/safetensors.h"

namespace bw {

class CodeLibrary {
 public:
  // Keeps references; both must outlive it. A name without an archive in this dtype is InputError
  // when it is asked for.
  CodeLibrary(const Manifest& manifest, at::ScalarType dtype, const WeightSet& weights)
      : manifest_(manifest), dtype_(dtype), weights_(weights) {}

  // The archive's path, for error messages.
  [[nodiscard]] std::string place(const std::string& name) const;
  // The module with its weights bound, their names starting with `prefix`.
  [[nodiscard]] torch::jit::Module bound(const std::string& name, const std::string& prefix);

 private:
  const HashedFile& file(const std::string& name) const;

  const Manifest& manifest_;
  at::ScalarType dtype_;
  const WeightSet& weights_;
  std::map<std::string, torch::jit::Module> code_;
};

// "float32", as in the manifest.
[[nodiscard]] std::string dtype_name(at::ScalarType dtype);

}  // namespace bw
