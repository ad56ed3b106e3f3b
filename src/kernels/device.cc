#include "kernels/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <link.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "kernels/driver.h"

namespace bw {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPlugin = "libbwcache_cuda.so";
constexpr const char* kTorchCuda = "libtorch_cuda.so";

[[noreturn]] void missing(c10::Device device, const std::string& what) {
  throw ResourceError("--device " + device.str() + ": " + what);
}

// $BWCACHE_CUDA_PLUGIN, else beside the program or in the lib folder beside its own.
fs::path find_plugin(c10::Device device) {
  if (const char* named = std::getenv("BWCACHE_CUDA_PLUGIN"); named != nullptr && *named != '\0') {
    if (fs::exists(named)) return named;
    missing(device,
            std::string("$BWCACHE_CUDA_PLUGIN names '") + named + "', which does not exist");
  }
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::vector<fs::path> places = {folder / kPlugin, folder / "../lib" / kPlugin};
  for (const fs::path& place : places) {
    if (fs::exists(place, ignored)) return place;
  }
  missing(device, std::string("the CUDA plug-in is missing: there is no ") + kPlugin + " in '" +
                      places[0].parent_path().string() + "' or '" +
                      places[1].parent_path().lexically_normal().string() +
                      "'; build the program where nvcc is installed (-DBW_WITH_CUDA=ON), or run "
                      "with --device cpu");
}

// Where the LibTorch that this process runs on was found.
fs::path torch_folder() {
  fs::path folder;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        const fs::path path = info->dlpi_name;
        if (path.filename() != "libtorch_cpu.so") return 0;
        *static_cast<fs::path*>(result) = path.parent_path();
        return 1;
      },
      &folder);
  BW_CHECK(!folder.empty(), "libtorch_cpu.so is not among the loaded libraries");
  return folder;
}

void* load(c10::Device device, const fs::path& library, const std::string& remedy) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle != nullptr) return handle;
  const char* reason = dlerror();
  missing(device, library.string() + " cannot be loaded: " +
                      (reason == nullptr ? "unknown reason" : reason) + remedy);
}

void load_torch_cuda(c10::Device device) {
  const std::string remedy = "; third_party/setup --cuda installs what LibTorch needs for CUDA";
  const fs::path library = torch_folder() / kTorchCuda;
  if (!fs::exists(library)) missing(device, library.string() + " does not exist" + remedy);
  (void)load(device, library, remedy);
}

void load_plugin(c10::Device device, const DeviceInfo& info, const fs::path& plugin) {
  void* handle = load(device, plugin, "; build it again together with the program");
  void* symbol = dlsym(handle, "bw_cuda_lowest_architecture");
  if (symbol == nullptr) missing(device, plugin.string() + " is no plug-in of this program");
  const int lowest = reinterpret_cast<int (*)()>(symbol)();
  if (info.capability >= lowest) return;
  missing(
      device,
      info.name + " has compute capability " + std::to_string(info.capability / 10) + "." +
          std::to_string(info.capability % 10) + "; " + plugin.string() + " was built for " +
          std::to_string(lowest / 10) + "." + std::to_string(lowest % 10) +
          " and newer; build with -DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(info.capability));
}

void set_attention_order(const DeviceInfo& info) {
  // On Hopper cuDNN's attention is the fastest, elsewhere LibTorch's own order is.
  if (info.capability / 10 != 9) return;
  using Backend = at::SDPBackend;
  std::vector<std::int64_t> order;
  for (const Backend backend :
       {Backend::cudnn_attention, Backend::flash_attention, Backend::efficient_attention,
        Backend::math, Backend::overrideable}) {
    order.push_back(static_cast<std::int64_t>(backend));
  }
  at::globalContext().setSDPPriorityOrder(order);
}

}  // namespace

c10::Device parse_device(std::string_view text, const Origin& origin) {
  if (text == "cpu") return c10::Device(c10::kCPU);
  if (text == "cuda") return c10::Device(c10::kCUDA, 0);
  constexpr std::string_view kPrefix = "cuda:";
  constexpr int kMaxIndex = 127;
  if (text.starts_with(kPrefix)) {
    const std::string_view number = text.substr(kPrefix.size());
    int index = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    const bool is_whole = error == std::errc() && end == number.data() + number.size();
    if (is_whole && index >= 0 && index <= kMaxIndex) {
      return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
    }
  }
  reject(origin, "must be cpu, cuda or cuda:N with N = 0 … " + std::to_string(kMaxIndex) +
                     ", got '" + std::string(text) + "'");
}

DeviceInfo describe_device(c10::Device device) {
  BW_CHECK(device.is_cuda() && device.has_index());
  const CudaDriver driver;
  const int count = driver.num_devices();
  const auto index = static_cast<int>(static_cast<unsigned char>(device.index()));
  if (count == 0) {
    missing(device,
            "NVIDIA's driver finds no device; nvidia-smi and $CUDA_VISIBLE_DEVICES tell more, "
            "--device cpu runs without one");
  }
  if (index >= count) {
    missing(device, "there is no such device: this machine has " + std::to_string(count) +
                        ", cuda:0" +
                        (count > 1 ? " to cuda:" + std::to_string(count - 1) : std::string()));
  }
  return {driver.name(index), driver.capability(index), driver.total_bytes(index),
          driver.free_bytes(index)};
}

void open_device(c10::Device device) {
  if (device.is_cpu()) return;
  static std::optional<c10::Device> opened;
  if (opened) {
    BW_CHECK(*opened == device, "one process computes on one device");
    return;
  }
  const DeviceInfo info = describe_device(device);
  const fs::path plugin = find_plugin(device);
  // Read once, at the first allocation; a user's own setting stays.
  if (std::getenv("PYTORCH_CUDA_ALLOC_CONF") == nullptr) {
    setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*overwrite=*/0);
  }
  load_torch_cuda(device);
  load_plugin(device, info, plugin);
  if (!at::hasCUDA()) {
    missing(device,
            "LibTorch cannot use the device though the driver lists it; LibTorch 2.11 is built for "
            "CUDA 13.0, which needs driver 580 or newer: update the driver");
  }
  at::globalContext().lazyInitDevice(c10::kCUDA);
  c10::impl::VirtualGuardImpl(c10::kCUDA).setDevice(device);
  // float32 means float32 in convolutions too, as it does in LibTorch's matrix products.
  at::globalContext().setAllowTF32CuDNN(false);
  set_attention_order(info);
  opened = device;
}

void set_deterministic(bool deterministic) {
  if (!deterministic) return;
  // cuBLAS repeats its sums only with a workspace of fixed size.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

}  // namespace bw
