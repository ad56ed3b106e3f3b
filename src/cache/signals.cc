#include "cache/signals.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace bw {
namespace {

// What a metric sums up of one stream, and what it divides by; both f64.
struct Sums {
  at::Tensor difference;
  at::Tensor reference;
};

Sums square_sums(const at::Tensor& now, const at::Tensor& before) {
  const at::Tensor difference = now.to(at::kFloat) - before.to(at::kFloat);
  const at::Tensor sum = difference.square().sum(at::kDouble);
  return {sum, at::full_like(sum, static_cast<double>(now.numel()))};
}

// [B,N,D]: the first eighth of D, at least one channel.
Sums cosine_sums(const at::Tensor& now, const at::Tensor& before) {
  const std::int64_t channels = std::max<std::int64_t>(now.size(-1) / 8, 1);
  const auto part = [&](const at::Tensor& x) { return x.narrow(-1, 0, channels).to(at::kFloat); };
  const at::Tensor cosine = at::cosine_similarity(part(now), part(before), -1, 1e-12);
  const at::Tensor sum = (1 - cosine).sum(at::kDouble);
  return {sum, at::full_like(sum, static_cast<double>(cosine.numel()))};
}

}  // namespace

ProgressRows queue_progress(const Hidden& now, std::span<const Sample> samples,
                            RelativeL1Batch& batch) {
  BW_CHECK(samples.size() == 2);
  ProgressRows rows;
  for (std::size_t stream = 0; stream < now.size(); ++stream) {
    const at::Tensor& before = samples[1].value[stream];
    rows.now.push_back(batch.add(now[stream], before));
    rows.newest.push_back(batch.add(samples[0].value[stream], before));
  }
  return rows;
}

double progress(const ProgressRows& rows, const RelativeL1Batch& batch) {
  RelativeL1Sums now, newest;
  for (const std::size_t row : rows.now) now += batch.sums(row);
  for (const std::size_t row : rows.newest) newest += batch.sums(row);
  return now.difference / newest.difference;
}

void DistanceQueue::compare(const Hidden& now, const Sample& reference, std::int64_t step,
                            RelativeL1Batch& batch) {
  BW_CHECK(now.size() == reference.value.size());
  std::vector<std::size_t>& rows = rows_.emplace_back();
  for (std::size_t stream = 0; stream < now.size(); ++stream) {
    const at::Tensor& before = reference.value[stream];
    if (metric_ == SignalMetric::kRelativeL1) {
      rows.push_back(batch.add(now[stream], before));
      continue;
    }
    const Sums sums = metric_ == SignalMetric::kMeanSquare ? square_sums(now[stream], before)
                                                           : cosine_sums(now[stream], before);
    rows.push_back(batch.add_sums(sums.difference, sums.reference));
  }
  gap_ = std::max(gap_, step - reference.step);
}

void DistanceQueue::compare_frames(const at::Tensor& now, std::int64_t frames,
                                   RelativeL1Batch& batch) {
  // Played through (rehearse.h), a hidden state has fewer tokens than frames.
  if (frames < 2 || now.size(1) % frames != 0) return;
  const at::Tensor by_frame = now.view({frames, now.size(1) / frames, now.size(2)});
  const at::Tensor later = by_frame.narrow(0, 1, frames - 1);
  const at::Tensor earlier = by_frame.narrow(0, 0, frames - 1);
  const std::size_t forward = batch.add(later, earlier);
  motion_.emplace_back(forward, batch.add(earlier, later));
}

std::optional<double> DistanceQueue::motion(const RelativeL1Batch& batch) const {
  if (motion_.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& [forward, backward] : motion_) {
    const RelativeL1Sums sums = batch.sums(forward);
    sum += sums.difference / (sums.reference + batch.sums(backward).reference);
  }
  return sum / static_cast<double>(motion_.size());
}

void DistanceQueue::align(const Hidden& output, const Hidden& input, RelativeL1Batch& batch) {
  at::Tensor dot, squares_out, squares_in;
  const auto add = [](at::Tensor& sum, const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor part = (a * b).sum(at::kDouble);
    sum = sum.defined() ? sum + part : part;
  };
  for (std::size_t stream = 0; stream < output.size(); ++stream) {
    const at::Tensor out = output[stream].to(at::kFloat);
    const at::Tensor in = input[stream].to(at::kFloat);
    add(dot, out, in);
    add(squares_out, out, out);
    add(squares_in, in, in);
  }
  alignment_.emplace_back(batch.add_sums(dot, (squares_out * squares_in).sqrt()));
}

std::vector<double> DistanceQueue::alignment(const RelativeL1Batch& batch) const {
  std::vector<double> result;
  for (const std::optional<std::size_t> row : alignment_) {
    result.push_back(row ? batch.sums(*row).distance() : std::numeric_limits<double>::quiet_NaN());
  }
  return result;
}

void DistanceQueue::skip() { rows_.emplace_back(); }

std::vector<double> DistanceQueue::distances(const RelativeL1Batch& batch) const {
  std::vector<double> result;
  if (gap_ == 0) return result;  // a reference is at least one step older
  for (const std::vector<std::size_t>& rows : rows_) {
    RelativeL1Sums sums;
    for (const std::size_t row : rows) sums += batch.sums(row);
    result.push_back(rows.empty() ? std::numeric_limits<double>::quiet_NaN() : sums.distance());
  }
  return result;
}

}  // namespace bw
