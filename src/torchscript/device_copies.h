// Weights on the device of a run: mapped tensors are copied through pinned memory, packed or
// quantised, each once. Read bind.h for who asks for them, kernels/linear.h for the forms.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "kernels/linear.h"

namespace bw {

// Counted on the way, each memory once.
struct WeightBytes {
  std::uint64_t stored = 0;  // as the files hold them; on the CPU mapped, and resident once read
  std::uint64_t copies = 0;  // converted, packed or quantised; on a GPU all that lies there
};

class DeviceCopies {
 public:
  // `count_only`: get() counts and hands out what is mapped, for a model that will not run.
  explicit DeviceCopies(c10::Device device, bool count_only = false)
      : device_(device), count_only_(count_only) {}

  [[nodiscard]] c10::Device device() const { return device_; }
  // Of everything that was asked for.
  [[nodiscard]] const WeightBytes& bytes() const { return bytes_; }
  // The tensor in this dtype and form on the device: the same tensor when nothing changes, the same
  // copy for the same memory on a device and in a form of its own. `mapped` must outlive this; what
  // a copy reads need not outlive the call.
  [[nodiscard]] at::Tensor get(const at::Tensor& mapped, at::ScalarType dtype,
                               WeightForm form = WeightForm::kStored);

 private:
  // Pinned memory is read by the device while the processor fills the other buffer.
  struct Staging {
    at::Tensor memory;  // u8, pinned
    std::optional<c10::Event> read;
  };

  [[nodiscard]] at::Tensor convert(const at::Tensor& mapped, at::ScalarType dtype);
  void count_copy(const at::Tensor& mapped, at::ScalarType dtype, WeightForm form);
  [[nodiscard]] at::Tensor upload(const at::Tensor& mapped);

  c10::Device device_;
  bool count_only_;
  std::array<Staging, 2> staging_;
  std::size_t next_ = 0;
  WeightBytes bytes_;
  std::set<const void*> read_;
  std::map<std::tuple<const void*, at::ScalarType, WeightForm>, at::Tensor> copies_;
};

}  // namespace bw
