#include "cache/history.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"

namespace bw {
namespace {

std::uint64_t sample_bytes(const Sample& sample) {
  std::uint64_t bytes = 0;
  for (const at::Tensor& tensor : sample.value) bytes += tensor.nbytes();
  return bytes;
}

}  // namespace

std::span<const Sample> History::find(const CacheKey& key) const {
  const auto ring = rings_.find(key);
  if (ring == rings_.end()) return {};
  return ring->second;
}

Hidden History::make_room(const CacheKey& key, std::size_t depth) {
  Hidden dropped;
  const auto ring = rings_.find(key);
  if (ring == rings_.end()) return dropped;
  while (ring->second.size() >= depth) {
    bytes_ -= sample_bytes(ring->second.back());
    dropped = std::move(ring->second.back().value);
    ring->second.pop_back();
    if (ring->second.empty()) {
      rings_.erase(ring);
      break;
    }
  }
  return dropped;
}

void History::push(const CacheKey& key, Sample sample) {
  std::vector<Sample>& ring = rings_[key];
  BW_CHECK(ring.empty() || ring.front().step < sample.step);
  bytes_ += sample_bytes(sample);
  peak_bytes_ = std::max(peak_bytes_, bytes_);
  ring.insert(ring.begin(), std::move(sample));
}

void History::drop_if(const std::function<bool(const CacheKey&)>& is_dropped) {
  for (auto ring = rings_.begin(); ring != rings_.end();) {
    if (!is_dropped(ring->first)) {
      ++ring;
      continue;
    }
    for (const Sample& sample : ring->second) bytes_ -= sample_bytes(sample);
    ring = rings_.erase(ring);
  }
}

}  // namespace bw
