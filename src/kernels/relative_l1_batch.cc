#include "kernels/relative_l1_batch.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "base/check.h"

namespace bw {
namespace {

// The plug-in's kernel (cuda/torch_operators.cc): writes both sums to a row, without waiting.
void write_sums(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sums, std::size_t row) {
  using Signature = void(const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t);
  static const auto kOperator =
      c10::Dispatcher::singleton().findSchemaOrThrow("bw::relative_l1_", "").typed<Signature>();
  kOperator.call(a, b, sums, static_cast<std::int64_t>(row));
}

}  // namespace

std::size_t RelativeL1Batch::add(const at::Tensor& a, const at::Tensor& b) {
  BW_CHECK(!is_sent_);
  if (a.device().is_cpu()) {
    on_host_.push_back(relative_l1_sums(a, b));
    return num_rows_++;
  }
  const std::size_t row = next_row(a.device());
  write_sums(a, b, on_device_, row);
  return row;
}

std::size_t RelativeL1Batch::add_sums(const at::Tensor& difference, const at::Tensor& reference) {
  BW_CHECK(!is_sent_ && difference.scalar_type() == at::kDouble && difference.dim() == 0);
  BW_CHECK(reference.scalar_type() == at::kDouble && reference.dim() == 0);
  if (difference.device().is_cpu()) {
    on_host_.push_back({*difference.const_data_ptr<double>(), *reference.const_data_ptr<double>()});
    return num_rows_++;
  }
  const std::size_t row = next_row(difference.device());
  on_device_.select(0, static_cast<std::int64_t>(row)).copy_(at::stack({difference, reference}));
  return row;
}

std::size_t RelativeL1Batch::next_row(c10::Device device) {
  if (!on_device_.defined() || num_rows_ == static_cast<std::size_t>(on_device_.size(0))) {
    grow(device);
  }
  return num_rows_++;
}

void RelativeL1Batch::grow(c10::Device device) {
  constexpr std::int64_t kFirstRows = 256;  // more than most models have blocks
  const auto rows = static_cast<std::int64_t>(num_rows_);
  const at::Tensor larger =
      at::empty({std::max(kFirstRows, 2 * rows), 2}, at::TensorOptions(at::kDouble).device(device));
  if (rows > 0) larger.narrow(0, 0, rows).copy_(on_device_.narrow(0, 0, rows));
  on_device_ = larger;
}

void RelativeL1Batch::send() {
  if (is_sent_) return;
  is_sent_ = true;
  if (!on_device_.defined()) return;
  const auto rows = static_cast<std::int64_t>(num_rows_);
  const c10::Device device = on_device_.device();
  copied_ = at::empty({rows, 2}, at::TensorOptions(at::kDouble).pinned_memory(device.is_cuda()));
  copied_.copy_(on_device_.narrow(0, 0, rows), /*non_blocking=*/true);
  is_copied_.emplace(device.type());
  is_copied_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

RelativeL1Sums RelativeL1Batch::sums(std::size_t row) const {
  BW_CHECK(is_sent_ && row < num_rows_);
  if (!is_copied_) return on_host_[row];
  is_copied_->synchronize();
  const auto* values = copied_.const_data_ptr<double>();
  return {values[2 * row], values[2 * row + 1]};
}

}  // namespace bw
