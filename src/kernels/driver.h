// The little that is asked of NVIDIA's driver before LibTorch's CUDA part is loaded. The driver's
// library is opened by hand, so that the program starts, and explains itself, where there is none.
// Read device.h for who asks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace bw {

class CudaDriver {
 public:
  // Throws ResourceError when there is no driver, it does not start, or it is too old for the
  // calls below.
  CudaDriver();
  ~CudaDriver();
  CudaDriver(const CudaDriver&) = delete;
  CudaDriver& operator=(const CudaDriver&) = delete;

  [[nodiscard]] int num_devices() const;
  [[nodiscard]] std::string name(int device) const;
  // Compute capability times ten: 90 for 9.0.
  [[nodiscard]] int capability(int device) const;
  [[nodiscard]] std::uint64_t total_bytes(int device) const;
  // Makes the device's primary context and keeps it, for LibTorch uses the same.
  [[nodiscard]] std::uint64_t free_bytes(int device) const;

 private:
  struct Functions;
  std::unique_ptr<const Functions> functions_;
};

}  // namespace bw
