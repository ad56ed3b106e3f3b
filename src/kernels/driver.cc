#include "kernels/driver.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

#include "base/error.h"

namespace bw {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";
constexpr const char* kRemedy =
    "; install NVIDIA's driver (nvidia-smi must work), or run with --device cpu";

// Of CUDA's driver API (cuda.h): numbers of device attributes, and handles as what they are.
constexpr int kCapabilityMajor = 75;
constexpr int kCapabilityMinor = 76;
using Context = void*;

template <typename Function>
Function find(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    throw ResourceError(std::string("--device: ") + kLibrary + " has no " + name +
                        "; update NVIDIA's driver");
  }
  return reinterpret_cast<Function>(symbol);
}

}  // namespace

struct CudaDriver::Functions {
  explicit Functions(void* library)
      : init(find<int (*)(unsigned)>(library, "cuInit")),
        error_text(find<int (*)(int, const char**)>(library, "cuGetErrorString")),
        count(find<int (*)(int*)>(library, "cuDeviceGetCount")),
        device(find<int (*)(int*, int)>(library, "cuDeviceGet")),
        name(find<int (*)(char*, int, int)>(library, "cuDeviceGetName")),
        attribute(find<int (*)(int*, int, int)>(library, "cuDeviceGetAttribute")),
        total(find<int (*)(std::size_t*, int)>(library, "cuDeviceTotalMem_v2")),
        retain(find<int (*)(Context*, int)>(library, "cuDevicePrimaryCtxRetain")),
        set_context(find<int (*)(Context)>(library, "cuCtxSetCurrent")),
        memory(find<int (*)(std::size_t*, std::size_t*)>(library, "cuMemGetInfo_v2")) {}

  void check(int status, const char* what) const {
    if (status == 0) return;
    const char* text = nullptr;
    if (error_text(status, &text) != 0 || text == nullptr) text = "unknown error";
    throw ResourceError(std::string("--device: ") + what + " failed: " + text + " (CUDA error " +
                        std::to_string(status) + ")" + kRemedy);
  }
  [[nodiscard]] int handle(int number) const {
    int result = 0;
    check(device(&result, number), "cuDeviceGet");
    return result;
  }

  int (*init)(unsigned);
  int (*error_text)(int, const char**);
  int (*count)(int*);
  int (*device)(int*, int);
  int (*name)(char*, int, int);
  int (*attribute)(int*, int, int);
  int (*total)(std::size_t*, int);
  int (*retain)(Context*, int);
  int (*set_context)(Context);
  int (*memory)(std::size_t*, std::size_t*);
};

CudaDriver::CudaDriver() {
  constexpr int kNoDevice = 100;
  // Never closed: LibTorch goes on using it.
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw ResourceError(std::string("--device: there is no NVIDIA driver (") +
                        (reason == nullptr ? kLibrary : reason) + ")" + kRemedy);
  }
  functions_ = std::make_unique<const Functions>(library);
  const int status = functions_->init(0);
  if (status != kNoDevice) functions_->check(status, "starting NVIDIA's driver");
}

CudaDriver::~CudaDriver() = default;

int CudaDriver::num_devices() const {
  int count = 0;
  // Where cuInit found no device, this fails too.
  return functions_->count(&count) == 0 ? count : 0;
}

std::string CudaDriver::name(int device) const {
  std::array<char, 256> text{};
  functions_->check(
      functions_->name(text.data(), static_cast<int>(text.size()) - 1, functions_->handle(device)),
      "cuDeviceGetName");
  return text.data();
}

int CudaDriver::capability(int device) const {
  const int handle = functions_->handle(device);
  int major = 0;
  int minor = 0;
  functions_->check(functions_->attribute(&major, kCapabilityMajor, handle),
                    "cuDeviceGetAttribute");
  functions_->check(functions_->attribute(&minor, kCapabilityMinor, handle),
                    "cuDeviceGetAttribute");
  return 10 * major + minor;
}

std::uint64_t CudaDriver::total_bytes(int device) const {
  std::size_t bytes = 0;
  functions_->check(functions_->total(&bytes, functions_->handle(device)), "cuDeviceTotalMem");
  return bytes;
}

std::uint64_t CudaDriver::free_bytes(int device) const {
  Context context = nullptr;
  functions_->check(functions_->retain(&context, functions_->handle(device)),
                    "cuDevicePrimaryCtxRetain");
  functions_->check(functions_->set_context(context), "cuCtxSetCurrent");
  std::size_t free = 0;
  std::size_t total = 0;
  functions_->check(functions_->memory(&free, &total), "cuMemGetInfo");
  return free;
}

}  // namespace bw
