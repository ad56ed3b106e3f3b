// The relative L1 sums of one evaluation, formed where the tensors are: on the CPU at once, on a
// device by kernels that nobody waits for, all in one array that is copied to the host once. Read
// relative_l1.h for the sums, cache/signals.h for who compares.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/relative_l1.h"

namespace bw {

class RelativeL1Batch {
 public:
  // a, b: same shape, dtype and device; all calls of a batch on one device. Returns the row. Both
  // tensors may be released afterwards.
  std::size_t add(const at::Tensor& a, const at::Tensor& b);
  // Sums formed elsewhere: two f64 scalars on the batch's device. Returns the row.
  std::size_t add_sums(const at::Tensor& difference, const at::Tensor& reference);
  // Starts the copy to the host; nothing is added after it. A second call does nothing.
  void send();
  // Of one row, after send(); waits for the copy when it is still under way.
  [[nodiscard]] RelativeL1Sums sums(std::size_t row) const;

 private:
  // A free row of the device's array.
  std::size_t next_row(c10::Device device);
  void grow(c10::Device device);

  std::vector<RelativeL1Sums> on_host_;  // of CPU tensors
  at::Tensor on_device_;                 // f64 [capacity,2]
  std::size_t num_rows_ = 0;
  bool is_sent_ = false;
  at::Tensor copied_;  // f64 [rows,2], pinned
  std::optional<c10::Event> is_copied_;
};

}  // namespace bw
