#include "torchscript/device_copies.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>

namespace bw {
namespace {

constexpr std::int64_t kStagingBytes = std::int64_t{32} << 20;

}  // namespace

at::Tensor DeviceCopies::get(const at::Tensor& mapped, at::ScalarType dtype, WeightForm form) {
  if (read_.insert(mapped.const_data_ptr()).second) bytes_.stored += mapped.nbytes();
  const bool is_mapped_form = device_.is_cpu() && form == WeightForm::kStored;
  const auto key = std::tuple(mapped.const_data_ptr(), dtype, form);
  const auto found = copies_.find(key);
  // A plain conversion stays with the module that it is for; nothing is gained by finding it again.
  const bool is_known =
      !is_mapped_form && found != copies_.end() && found->second.sizes() == mapped.sizes();
  if (is_known) return found->second;
  count_copy(mapped, dtype, form);
  at::Tensor copy = mapped;
  if (!count_only_) copy = prepare_weight(convert(mapped, dtype), form);
  if (!is_mapped_form) copies_.insert_or_assign(key, copy);
  return copy;
}

void DeviceCopies::count_copy(const at::Tensor& mapped, at::ScalarType dtype, WeightForm form) {
  const std::uint64_t prepared = device_.is_cuda() ? 0 : prepared_bytes(mapped, dtype, form);
  const bool is_other = device_.is_cuda() || mapped.scalar_type() != dtype;
  const std::uint64_t whole = static_cast<std::uint64_t>(mapped.numel()) * c10::elementSize(dtype);
  bytes_.copies += prepared > 0 ? prepared : is_other ? whole : 0;
}

// Converted on the device, where it costs nothing.
at::Tensor DeviceCopies::convert(const at::Tensor& mapped, at::ScalarType dtype) {
  if (device_.is_cpu()) return mapped.to(dtype);
  return (device_.is_cuda() ? upload(mapped) : mapped.to(device_)).to(dtype);
}

at::Tensor DeviceCopies::upload(const at::Tensor& mapped) {
  const at::Tensor source = mapped.contiguous();
  const at::Tensor copy = at::empty({source.numel()}, source.options().device(device_));
  const at::Tensor bytes = copy.view(at::kByte);
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  const auto* from = static_cast<const char*>(source.const_data_ptr());
  const auto size = static_cast<std::int64_t>(source.nbytes());
  for (std::int64_t first = 0; first < size; first += kStagingBytes) {
    const std::int64_t part = std::min(kStagingBytes, size - first);
    Staging& staging = staging_[next_];
    next_ = (next_ + 1) % staging_.size();
    if (!staging.memory.defined()) {
      staging.memory = at::empty({kStagingBytes}, at::TensorOptions(at::kByte).pinned_memory(true));
      staging.read.emplace(device_.type());
    }
    staging.read->synchronize();  // returns at once before the first use
    std::memcpy(staging.memory.mutable_data_ptr(), from + first, static_cast<std::size_t>(part));
    bytes.narrow(0, first, part).copy_(staging.memory.narrow(0, 0, part), /*non_blocking=*/true);
    staging.read->record(stream);
  }
  return copy.view(source.sizes());
}

}  // namespace bw
