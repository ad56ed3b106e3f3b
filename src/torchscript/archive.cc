#include "torchscript/archive.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/frontend/error_report.h>
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

// A constant that names a device, or is a tensor with axes: one without may stay on the CPU.
void rewrite_constant(torch::jit::Node* node, c10::Device device) {
  if (!node->hasAttribute(torch::jit::attr::value)) return;
  const c10::TypeKind kind = node->output()->type()->kind();
  if (kind == c10::TypeKind::DeviceObjType) node->s_(torch::jit::attr::value, device.str());
  if (kind == c10::TypeKind::TensorType && node->t(torch::jit::attr::value).dim() > 0) {
    node->t_(torch::jit::attr::value, node->t(torch::jit::attr::value).to(device));
  }
}

void rewrite_devices(torch::jit::Block* block, c10::Device device) {
  for (torch::jit::Node* node : block->nodes()) {
    for (torch::jit::Block* inner : node->blocks()) rewrite_devices(inner, device);
    if (node->kind() == torch::jit::prim::Constant) rewrite_constant(node, device);
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
        torch::jit::load(std::make_shared<MappedAdapter>(file), c10::Device(c10::kCPU),
                         /*load_debug_files=*/false);
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
