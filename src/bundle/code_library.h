// The code archives of a bundle in one dtype, each loaded and rewritten once, with or without its
// weights. Read torchscript/archive.h for loading, torchscript/rewrite.h for fused operators,
// torchscript/bind.h for the weights.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <set>
#include <string>

#include "bundle/manifest.h"
#include "kernels/linear.h"
#include "torchscript/device_copies.h"
#include "torchscript/rewrite.h"
#include "torchscript/safetensors.h"

namespace bw {

// How a bundle's code is run.
struct Execution {
  at::ScalarType dtype = at::kFloat;
  bool rewrite = true;  // fused operators and packed weights; without: the archives as they are
  bool int8 = false;    // linear layers of the blocks in int8; only with rewrite
  bool int8_variant = false;  // blocks in int8 beside those that run by default; only with rewrite
  // Of the device that the code runs on, while it is loaded; null: the CPU.
  DeviceCopies* copies = nullptr;

  [[nodiscard]] c10::Device device() const {
    return copies == nullptr ? c10::Device(c10::kCPU) : copies->device();
  }
};

class CodeLibrary {
 public:
  // Keeps references; both must outlive it. A name without an archive in this dtype is InputError
  // when it is asked for.
  CodeLibrary(const Manifest& manifest, const Execution& execution, const WeightSet& weights)
      : manifest_(manifest), execution_(execution), weights_(weights) {}

  [[nodiscard]] const Execution& execution() const { return execution_; }
  // The archive's path, for error messages.
  [[nodiscard]] std::string place(const std::string& name) const;
  // The module with its weights bound, their names starting with `prefix`; packed where that is
  // possible.
  [[nodiscard]] torch::jit::Module bound(const std::string& name, const std::string& prefix);
  // The same with its linear layers in int8. InputError where none can be.
  [[nodiscard]] torch::jit::Module bound_int8(const std::string& name, const std::string& prefix);

 private:
  struct Code {
    torch::jit::Module module;
    std::set<std::string> prepared;  // parameters whose form is free
  };

  const HashedFile& file(const std::string& name) const;
  const Code& code(const std::string& name);
  [[nodiscard]] torch::jit::Module bind(const std::string& name, const std::string& prefix,
                                        WeightForm form);

  const Manifest& manifest_;
  Execution execution_;
  const WeightSet& weights_;
  std::map<std::string, Code> code_;
};

// How often each fused operator is found in each archive of this dtype, by the archive's name; for
// `inspect`. Needs no weights.
[[nodiscard]] std::map<std::string, RewriteCounts> count_rewrites(const Manifest& manifest,
                                                                  at::ScalarType dtype);

// "float32", as in the manifest.
[[nodiscard]] std::string dtype_name(at::ScalarType dtype);

}  // namespace bw
