#include "bundle/code_library.h"

#include "base/check.h"
#include "base/error.h"
#include "torchscript/archive.h"
#include "torchscript/bind.h"

namespace bw {

std::string dtype_name(at::ScalarType dtype) {
  if (dtype == at::kFloat) return "float32";
  if (dtype == at::kBFloat16) return "bfloat16";
  BW_CHECK(dtype == at::kHalf, c10::toString(dtype));
  return "float16";
}

const HashedFile& CodeLibrary::file(const std::string& name) const {
  const auto& files = manifest_.code.at(name);
  const auto found = files.find(dtype_name(dtype_));
  if (found == files.end()) {
    throw InputError((manifest_.directory / "model.json").string() + ": code." + name +
                     ": has no archive for " + dtype_name(dtype_));
  }
  return found->second;
}

std::string CodeLibrary::place(const std::string& name) const {
  return (manifest_.directory / file(name).file).string();
}

torch::jit::Module CodeLibrary::bound(const std::string& name, const std::string& prefix) {
  auto found = code_.find(name);
  if (found == code_.end()) {
    const HashedFile& archive = file(name);
    const ArchiveFile request{manifest_.directory / archive.file, archive.sha256};
    found = code_.emplace(name, load_archive(request, c10::Device(c10::kCPU))).first;
  }
  return bind_weights(found->second, weights_, prefix, place(name));
}

}  // namespace bw
