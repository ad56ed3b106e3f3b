// Stands in for NVIDIA's driver in tests of what the program says about a device: built as
// libcuda.so.1 in a folder of its own, which a test puts first in LD_LIBRARY_PATH.
// BW_FAKE_DEVICES devices of compute capability BW_FAKE_CAPABILITY / 10 with BW_FAKE_MEMORY bytes
// free. It can run nothing.
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

long setting(const char* name, long fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::atol(value);
}

constexpr int kNoDevice = 100;
constexpr int kCapabilityMajor = 75;

}  // namespace

extern "C" {

int cuInit(unsigned) { return setting("BW_FAKE_DEVICES", 1) == 0 ? kNoDevice : 0; }

int cuGetErrorString(int, const char** text) {
  *text = "no device";
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = static_cast<int>(setting("BW_FAKE_DEVICES", 1));
  return 0;
}

int cuDeviceGet(int* device, int number) {
  *device = number;
  return 0;
}

int cuDeviceGetName(char* name, int size, int) {
  std::strncpy(name, "Fake GPU", static_cast<std::size_t>(size));
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  const auto capability = static_cast<int>(setting("BW_FAKE_CAPABILITY", 90));
  *value = attribute == kCapabilityMajor ? capability / 10 : capability % 10;
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{80} << 30;
  return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int) {
  static int handle = 0;
  *context = &handle;
  return 0;
}

int cuCtxSetCurrent(void*) { return 0; }

int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  *total = std::size_t{80} << 30;
  *free = static_cast<std::size_t>(setting("BW_FAKE_MEMORY", 1L << 36));
  return 0;
}

}  // extern "C"
