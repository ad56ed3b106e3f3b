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

namespace {

// A failure to rewrite is the archive's, and there is a way around it.
template <typename Work>
auto rewriting(const std::string& place, const Work& work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    throw InputError(place + ": its code cannot be rewritten to fused operators (" +
                     error.what_without_backtrace() + "); --no-rewrite runs it as it is");
  }
}

}  // namespace

std::map<std::string, RewriteCounts> count_rewrites(const Manifest& manifest,
                                                    at::ScalarType dtype) {
  std::map<std::string, RewriteCounts> counts;
  for (const auto& [name, files] : manifest.code) {
    const auto found = files.find(dtype_name(dtype));
    if (found == files.end()) continue;
    const ArchiveFile archive{manifest.directory / found->second.file, found->second.sha256};
    const torch::jit::Module code = load_archive(archive, c10::Device(c10::kCPU));
    counts[name] = rewriting(archive.path.string(), [&] { return rewrite_graphs(code); });
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
    loaded.prepared = rewriting(place(name), [&] {
      rewrite_graphs(loaded.module);
      return packable_weights(loaded.module);
    });
  }
  return code_.emplace(name, std::move(loaded)).first->second;
}

torch::jit::Module CodeLibrary::bind(const std::string& name, const std::string& prefix,
                                     WeightForm form) {
  const Code& found = code(name);
  return bind_weights(found.module, {weights_, prefix, found.prepared, form, execution_.copies},
                      place(name));
}

torch::jit::Module CodeLibrary::bound(const std::string& name, const std::string& prefix) {
  return bind(name, prefix, WeightForm::kPacked);
}

torch::jit::Module CodeLibrary::bound_int8(const std::string& name, const std::string& prefix) {
  if (code(name).prepared.empty()) {
    throw InputError(place(name) + ": no linear layer of it can be kept in int8; leave " +
                     (execution_.int8 ? "--quantize" : "the int8 blocks of --cache") + " out");
  }
  return bind(name, prefix, WeightForm::kInt8);
}

}  // namespace bw
