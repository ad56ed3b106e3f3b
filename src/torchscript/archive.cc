#include "torchscript/archive.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/passes/tensorexpr_fuser.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstring>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "torchscript/archive_scan.h"

namespace bw {
namespace {

// Reads from a mapping, within its bounds (torch's own MemoryReadAdapter does not check them).
class MappedAdapter final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MappedAdapter(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}

  size_t size() const override { return file_->bytes().size(); }
  size_t read(uint64_t position, void* buffer, size_t count, const char* /*what*/) const override {
    const auto bytes = file_->bytes();
    if (position > bytes.size()) return 0;
    const size_t available = std::min<size_t>(count, bytes.size() - position);
    std::memcpy(buffer, bytes.data() + position, available);
    return available;
  }

 private:
  std::shared_ptr<const MappedFile> file_;
};

void check_hash(const ArchiveFile& archive, const MappedFile& file) {
  const auto bytes = file.bytes();
  const std::string found = sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (found != archive.sha256) {
    throw InputError(archive.path.string() + ": sha256 is " + found + ", the manifest says " +
                     archive.sha256 + "; the file was changed or damaged, export or copy it again");
  }
}

void rewrite_devices(torch::jit::Block* block, c10::Device device) {
  for (torch::jit::Node* node : block->nodes()) {
    for (torch::jit::Block* inner : node->blocks()) rewrite_devices(inner, device);
    const bool is_device = node->kind() == torch::jit::prim::Constant &&
                           node->output()->type()->kind() == c10::TypeKind::DeviceObjType &&
                           node->hasAttribute(torch::jit::attr::value);
    if (is_device) node->s_(torch::jit::attr::value, device.str());
  }
}

void rewrite_devices(const torch::jit::Module& root, c10::Device device) {
  for (const torch::jit::Module& module : root.modules()) {
    for (const torch::jit::Method& method : module.get_methods()) {
      rewrite_devices(method.graph()->block(), device);
    }
  }
}

}  // namespace

void set_up_executor() {
  static std::once_flag once;
  std::call_once(once, [] {
    torch::jit::FusionStrategy none;
    torch::jit::setFusionStrategy(none);
    torch::jit::setTensorExprFuserEnabled(false);
  });
}

torch::jit::Module load_archive(const ArchiveFile& archive, c10::Device device) {
  set_up_executor();
  const auto file = std::make_shared<const MappedFile>(archive.path);
  check_hash(archive, *file);
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<MappedAdapter>(file));
    scan_archive(reader, file->bytes().size(), archive.path.string());
    torch::jit::Module module =
        torch::jit::load(std::make_shared<MappedAdapter>(file), device, /*load_debug_files=*/false);
    module.eval();
    rewrite_devices(module, device);
    return module;
  } catch (const c10::Error& error) {
    throw InputError(archive.path.string() +
                     ": cannot be loaded as TorchScript: " + error.what_without_backtrace());
  } catch (const torch::jit::ErrorReport& error) {
    throw InputError(archive.path.string() + ": its code cannot be compiled: " + error.what());
  }
}

}  // namespace bw
