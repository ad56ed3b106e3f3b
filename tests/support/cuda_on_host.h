// Runs the code of the CUDA kernels on the host, block by block and thread by thread, with the
// barriers and reductions that kernels.cu has: indices, tails and widths are those of the device.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "kernels/cuda/thread_work.h"

namespace bw::cuda::on_host {

// What block_sum of kernels.cu gives: lanes pairwise, then warps in order.
template <typename F>
F block_sum(std::vector<F> values) {
  F total = 0;
  for (std::size_t warp = 0; warp < values.size(); warp += kWarpSize) {
    for (std::size_t offset = kWarpSize / 2; offset > 0; offset /= 2) {
      for (std::size_t lane = 0; lane < offset; ++lane) {
        values[warp + lane] += values[warp + lane + offset];
      }
    }
    total += values[warp];
  }
  return total;
}

// Calls work(thread) for every thread of a block; the results in order.
template <typename Work>
auto each_thread(const Launch& launch, std::int64_t block, const Work& work) {
  std::vector<decltype(work(Thread{}))> results;
  for (int i = 0; i < launch.threads; ++i) results.push_back(work({block, i, launch.threads}));
  return results;
}
template <typename Work>
void every_thread(const Launch& launch, std::int64_t block, const Work& work) {
  for (int i = 0; i < launch.threads; ++i) work(Thread{block, i, launch.threads});
}

// Shared memory, aligned as on the device; f32 tensors are.
inline at::Tensor shared(const Launch& launch) { return at::zeros({launch.shared_bytes / 4 + 4}); }

template <typename T, typename P, int N>
void norm_modulate(const NormModulateCall& call, std::int64_t batch) {
  const Launch launch = row_launch(row_shape(call, batch), N);
  const at::Tensor memory = shared(launch);
  auto* row = memory.mutable_data_ptr<float>();
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    const float mean =
        block_sum(
            each_thread(launch, block, [&](Thread t) { return norm_load<T, N>(call, t, row); })) /
        static_cast<float>(call.dim);
    const float squares = block_sum(each_thread(
        launch, block, [&](Thread t) { return norm_deviations<N>(call, t, row, mean); }));
    const float factor = rms_factor(squares, call.dim, call.eps);
    every_thread(launch, block, [&](Thread t) { norm_write<T, P, N>(call, t, row, mean, factor); });
  }
}

template <typename T, typename P, int N>
void gated_add(const GatedAddCall& call, std::int64_t batch) {
  const Launch launch = row_launch(row_shape(call, batch), N);
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    every_thread(launch, block, [&](Thread t) { gated_add_thread<T, P, N>(call, t); });
  }
}

template <typename T, typename P, int N>
void qk_norm_rope(const QkNormRopeCall& call, std::int64_t batch) {
  const Launch launch = row_launch(row_shape(call, batch), N);
  const at::Tensor memory = shared(launch);
  auto* row = memory.mutable_data_ptr<float>();
  const std::int64_t size = call.heads * call.dim;
  float* factors = row + size;
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    const float squares = block_sum(
        each_thread(launch, block, [&](Thread t) { return rope_load<T, N>(call, t, row); }));
    for (int head = 0; head < call.heads; ++head) {
      std::vector<float> lanes;
      for (int lane = 0; lane < kWarpSize; ++lane) {
        lanes.push_back(rope_head_squares(call, row, head, lane));
      }
      factors[head] = call.norm_over_row ? rms_factor(squares, size, call.eps)
                                         : rms_factor(block_sum(lanes), call.dim, call.eps);
    }
    every_thread(launch, block, [&](Thread t) { rope_normalise<P, N>(call, t, row, factors); });
    every_thread(launch, block, [&](Thread t) { rope_write<T, P, N>(call, t, row); });
  }
}

template <typename T, int N>
void activate(const ActivateCall& call) {
  const Launch launch = flat_launch(call.size, N);
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    every_thread(launch, block,
                 [&](Thread t) { for_flat<N>(call.size, t, ActivateWork<T>{call}); });
  }
}

template <typename T, int N>
void gated_activation(const ActivateCall& call, std::int64_t rows) {
  const Launch launch = row_launch({rows, call.dim, false, 0}, N);
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    every_thread(launch, block, [&](Thread t) { gated_activation_thread<T, N>(call, t); });
  }
}

template <typename T, int N>
void combine(const CombineCall& call) {
  const Launch launch = flat_launch(call.size, N);
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    every_thread(launch, block, [&](Thread t) { for_flat<N>(call.size, t, CombineWork<T>{call}); });
  }
}

// {Σ|a − b|, Σ|b|}
template <typename T, int N>
std::pair<double, double> distance(const DistanceCall& call) {
  const Launch launch = distance_launch(call.size);
  std::vector<float> partial;
  for (std::int64_t block = 0; block < launch.blocks; ++block) {
    const auto own =
        each_thread(launch, block, [&](Thread t) { return distance_thread<T, N>(call, t); });
    std::vector<float> difference, reference;
    for (const DistanceSums& sums : own) {
      difference.push_back(sums.difference);
      reference.push_back(sums.reference);
    }
    partial.push_back(block_sum(difference));
    partial.push_back(block_sum(reference));
  }
  const Launch final{1, kMaxThreads, 0};
  const auto sum = [&](int which) {
    return block_sum(each_thread(final, 0, [&](Thread t) {
      return distance_final(partial.data(), launch.blocks, t, which);
    }));
  };
  return {sum(0), sum(1)};
}

}  // namespace bw::cuda::on_host
