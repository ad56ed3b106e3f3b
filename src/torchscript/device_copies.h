// Weights on the device of a run: mapped tensors are copied through pinned memory, each once.
// Read bind.h for who asks for them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace bw {

class DeviceCopies {
 public:
  explicit DeviceCopies(c10::Device device) : device_(device) {}

  [[nodiscard]] c10::Device device() const { return device_; }
  // The tensor in this dtype on the device: the same tensor when nothing changes, on a device the
  // same copy for the same memory. What the copy reads need not outlive the call.
  [[nodiscard]] at::Tensor get(const at::Tensor& mapped, at::ScalarType dtype);

 private:
  // Pinned memory is read by the device while the processor fills the other buffer.
  struct Staging {
    at::Tensor memory;  // u8, pinned
    std::optional<c10::Event> read;
  };

  [[nodiscard]] at::Tensor upload(const at::Tensor& mapped);

  c10::Device device_;
  std::array<Staging, 2> staging_;
  std::size_t next_ = 0;
  std::map<std::pair<const void*, at::ScalarType>, at::Tensor> copies_;
};

}  // namespace bw
