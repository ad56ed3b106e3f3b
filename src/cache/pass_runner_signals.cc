// The part of the pass runner that measures computed blocks.
#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/stopwatch.h"
#include "cache/cache_controller.h"
#include "cache/hidden_rows.h"
#include "cache/pass_runner.h"

namespace bw {
namespace {

// A copy, in the memory of `old` where that fits and nobody else holds it: allocating anew would
// cost more than copying does.
Hidden copied(Hidden old, const Hidden& now) {
  Hidden result;
  for (std::size_t stream = 0; stream < now.size(); ++stream) {
    const at::Tensor& from = now[stream];
    const bool fits = stream < old.size() && old[stream].use_count() == 1 &&
                      old[stream].is_contiguous() && old[stream].sizes() == from.sizes() &&
                      old[stream].scalar_type() == from.scalar_type() &&
                      old[stream].nbytes() == old[stream].storage().nbytes();
    result.push_back(fits ? old[stream].copy_(from) : from.clone());
  }
  return result;
}

}  // namespace

std::optional<std::size_t> PassRunner::probed_stage(std::size_t block) const {
  const SignalNeeds& signal = parts_.needs.signal;
  if (signal.kind != SignalKind::kStageResidual || !is_probed(block)) return std::nullopt;
  if (reuses_stage_of(block)) return std::nullopt;
  const std::vector<std::size_t>& blocks = signal.blocks[context_.expert];
  const auto at = std::lower_bound(blocks.begin(), blocks.end(), block) - blocks.begin();
  return signal.stages[context_.expert][static_cast<std::size_t>(at)];
}

bool PassRunner::is_probed(std::size_t block) const {
  if (!measure_ || parts_.needs.signal.early) return false;
  const std::vector<std::size_t>& probed = parts_.needs.signal.blocks[context_.expert];
  return std::binary_search(probed.begin(), probed.end(), block);
}

bool PassRunner::probes_whole_lane() const {
  return std::all_of(lane_.begin(), lane_.end(),
                     [&](Branch branch) { return parts_.needs.signal.branches[index_of(branch)]; });
}

void PassRunner::keep_signal(const CacheKey& signal, Hidden rows) {
  if (!parts_.lifetimes.readable_after(signal, context_.index)) return;
  const std::size_t depth = ring_depth(signal.slot, parts_.needs);
  Hidden dropped = parts_.history.make_room(signal, depth);
  if (!probes_whole_lane()) rows = copied(std::move(dropped), rows);
  parts_.history.push(signal, {context_.step, std::move(rows)});
}

void PassRunner::measure_block(std::size_t block, const Hidden& now) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    if (now.empty()) {
      queues_[i].skip();
      continue;
    }
    const CacheKey signal = key(Slot::kSignal, lane_[i], {block, 0});
    Hidden rows = rows_of(now, i, lane_.size());
    if (const std::span<const Sample> before = parts_.history.find(signal); !before.empty()) {
      queues_[i].compare(rows, before.front(), context_.step, parts_.distances);
    } else {
      queues_[i].skip();
    }
    if (parts_.needs.signal.motion) {
      queues_[i].compare_frames(rows.front(), parts_.expert.grid.front(), parts_.distances);
    }
    keep_signal(signal, std::move(rows));
  }
  parts_.clocks.indicator_seconds += watch.seconds();
}

void PassRunner::align_block(const Hidden& output, const Hidden& input) {
  const Stopwatch watch;
  for (std::size_t i = 0; i < lane_.size(); ++i) {
    if (!parts_.needs.signal.branches[index_of(lane_[i])]) continue;
    if (output.empty()) {
      queues_[i].skip_align();
    } else {
      queues_[i].align(rows_of(output, i, lane_.size()), rows_of(input, i, lane_.size()),
                       parts_.distances);
    }
  }
  parts_.clocks.indicator_seconds += watch.seconds();
}

void PassRunner::pass_over(std::size_t block) {
  measure_block(block, {});
  if (parts_.needs.signal.alignment) align_block({}, {});
}

}  // namespace bw
