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

std::map<std::string, RewriteCounts> count_rewrites(const Manifest& manifest,
                                                    at::ScalarType dtype) {
  std::map<std::string, RewriteCounts> counts;
  for (const auto& [name, files] : manifest.code) {
    const auto found = files.find(dtype_name(dtype));
    if (found == files.end()) continue;
    const HashedFile& archive = found->second;
    const torch::jit::Module code =
        load_archive({manifest.directory / archive.file, archive.sha256}, c10::Device(c10::kCPU));
    counts[name] = rewrite_graphs(code);
  }
  return counts;
}

const HashedFile& CodeLibrary::file(const std::string& name) const {
  const auto& files = manifest_.code.at(name);
  const auto found = files.find(dtype_name(execution_.dtype));
  if (found == files.end()) {
    throw InputError((manifest_.directory / "model.json").string() + ": code." + name +
                     ": has no archive for " + dtype_name(execution_.dtype));
  }
  return found->second;
}

std::string CodeLibrary::place(const std::string& name) const {
  return (manifest_.directory / file(name).file).string();
}

const CodeLibrary::Code& CodeLibrary::code(const std::string& name) {
  const auto found = code_.find(name);
  if (found != code_.end()) return found->second;
  const HashedFile& archive = file(name);
  const ArchiveFile request{manifest_.directory / archive.file, archive.sha256};
  Code loaded{load_archive(request, execution_.device()), {}};
  if (execution_.rewrite) {
    try {
      rewrite_graphs(loaded.module);
      loaded.prepared = packable_weights(loaded.module);
    } catch (const c10::Error& error) {
      throw InputError(place(name) + ": its code cannot be rewritten to fused operators (" +
                       error.what_without_backtrace() + "); --no-rewrite runs it as it is");
    }
  }
  return code_.emplace(name, std::move(loaded)).first->second;
}

torch::jit::Module CodeLibrary::bound(const std::string& name, const std::string& prefix) {
  const WeightBinding binding{weights_, prefix, code(name).prepared, WeightForm::kPacked,
                              execution_.copies};
  return bind_weights(code(name).module, binding, place(name));
}

torch::jit::Module CodeLibrary::bound_block(const std::string& name, const std::string& prefix) {
  if (execution_.int8 && code(name).prepared.empty()) {
    throw InputError(place(name) +
                     ": no linear layer of it can be kept in int8; leave --quantize out");
  }
  const WeightForm form = execution_.int8 ? WeightForm::kInt8 : WeightForm::kPacked;
  const WeightBinding binding{weights_, prefix, code(name).prepared, form, execution_.copies};
  return bind_weights(code(name).module, binding, place(name));
}

}  // namespace bw
