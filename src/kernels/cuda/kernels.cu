// The kernels: barriers, reductions and launches around the code of thread_work.h. Every reduction
// has a fixed order and no atomics, so that equal inputs give equal bits.
#include <cuda_runtime.h>

#include "kernels/cuda/thread_work.h"

namespace bw::cuda {
namespace {

constexpr int kMaxWarps = kMaxThreads / kWarpSize;

__device__ Thread this_thread() {
  return {static_cast<std::int64_t>(blockIdx.x), static_cast<int>(threadIdx.x),
          static_cast<int>(blockDim.x)};
}

template <typename F>
__device__ F warp_sum(F value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, offset);
  }
  return value;
}

// The same sum in every thread. All threads of the block must call it; `partial` is shared.
template <typename F>
__device__ F block_sum(F value, F* partial) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int num_warps = static_cast<int>(blockDim.x) / kWarpSize;
  value = warp_sum(value);
  if (threadIdx.x % kWarpSize == 0) partial[warp] = value;
  __syncthreads();
  F total = 0;
  for (int i = 0; i < num_warps; ++i) total += partial[i];
  __syncthreads();  // the next sum writes there again
  return total;
}

template <typename T, typename P, int N>
__global__ void norm_modulate_kernel(const NormModulateCall call) {
  extern __shared__ __align__(16) float row[];
  __shared__ float partial[kMaxWarps];
  const Thread thread = this_thread();
  const auto dim = static_cast<float>(call.dim);
  const float mean = block_sum(norm_load<T, N>(call, thread, row), partial) / dim;
  const float squares = block_sum(norm_deviations<N>(call, thread, row, mean), partial);
  norm_write<T, P, N>(call, thread, row, mean, rms_factor(squares, call.dim, call.eps));
}

template <typename T, typename P, int N>
__global__ void gated_add_kernel(const GatedAddCall call) {
  gated_add_thread<T, P, N>(call, this_thread());
}

template <typename T, typename P, int N>
__global__ void qk_norm_rope_kernel(const QkNormRopeCall call) {
  extern __shared__ __align__(16) float row[];
  __shared__ float partial[kMaxWarps];
  const Thread thread = this_thread();
  const std::int64_t size = call.heads * call.dim;
  float* factors = row + size;
  // The sum's barriers also make the row visible to all.
  const float squares = block_sum(rope_load<T, N>(call, thread, row), partial);
  const int lane = thread.index % kWarpSize;
  for (int head = thread.index / kWarpSize; head < call.heads; head += thread.count / kWarpSize) {
    const float own = call.norm_over_row ? 0 : warp_sum(rope_head_squares(call, row, head, lane));
    const float factor = call.norm_over_row ? rms_factor(squares, size, call.eps)
                                            : rms_factor(own, call.dim, call.eps);
    if (lane == 0) factors[head] = factor;
  }
  __syncthreads();
  rope_normalise<P, N>(call, thread, row, factors);
  __syncthreads();
  rope_write<T, P, N>(call, thread, row);
}

template <typename T, int N>
__global__ void activate_kernel(const ActivateCall call) {
  for_flat<N>(call.size, this_thread(), ActivateWork<T>{call});
}

template <typename T, int N>
__global__ void gated_activation_kernel(const ActivateCall call) {
  gated_activation_thread<T, N>(call, this_thread());
}

template <typename T, int N>
__global__ void combine_kernel(const CombineCall call) {
  for_flat<N>(call.size, this_thread(), CombineWork<T>{call});
}

template <typename T, int N>
__global__ void distance_kernel(const DistanceCall call) {
  __shared__ float partial[kMaxWarps];
  const DistanceSums own = distance_thread<T, N>(call, this_thread());
  const float difference = block_sum(own.difference, partial);
  const float reference = block_sum(own.reference, partial);
  if (threadIdx.x != 0) return;
  call.partial[2 * blockIdx.x] = difference;
  call.partial[2 * blockIdx.x + 1] = reference;
}

__global__ void distance_final_kernel(const DistanceCall call, std::int64_t blocks) {
  __shared__ double partial[kMaxWarps];
  for (int which = 0; which < 2; ++which) {
    const double sum =
        block_sum(distance_final(call.partial, blocks, this_thread(), which), partial);
    if (threadIdx.x == 0) call.sums[which] = sum;
  }
}

// Calls run.template operator()<T, N>() with the type and width of `types`.
template <typename Run>
void with_type(Types types, const Run& run) {
  const bool wide = types.width > 1;
  if (types.x == Element::kFloat32) {
    wide ? run.template operator()<float, 4>() : run.template operator()<float, 1>();
  } else {
    wide ? run.template operator()<BFloat16, 8>() : run.template operator()<BFloat16, 1>();
  }
}

template <typename Run>
void with_types(Types types, const Run& run) {
  with_type(types, [&]<typename T, int N>() {
    if (types.parameter == Element::kFloat32) {
      run.template operator()<T, float, N>();
    } else {
      run.template operator()<T, BFloat16, N>();
    }
  });
}

cudaStream_t native(Stream stream) { return static_cast<cudaStream_t>(stream); }
unsigned grid(const Launch& launch) { return static_cast<unsigned>(launch.blocks); }
int status() { return static_cast<int>(cudaGetLastError()); }

}  // namespace

int norm_modulate(const NormModulateCall& call, Types types, std::int64_t batch, Stream stream) {
  const Launch launch = row_launch(row_shape(call, batch), types.width);
  if (launch.blocks == 0) return 0;
  with_types(types, [&]<typename T, typename P, int N>() {
    norm_modulate_kernel<T, P, N>
        <<<grid(launch), launch.threads, launch.shared_bytes, native(stream)>>>(call);
  });
  return status();
}

int gated_add(const GatedAddCall& call, Types types, std::int64_t batch, Stream stream) {
  const Launch launch = row_launch(row_shape(call, batch), types.width);
  if (launch.blocks == 0) return 0;
  with_types(types, [&]<typename T, typename P, int N>() {
    gated_add_kernel<T, P, N><<<grid(launch), launch.threads, 0, native(stream)>>>(call);
  });
  return status();
}

int qk_norm_rope(const QkNormRopeCall& call, Types types, std::int64_t batch, Stream stream) {
  const Launch launch = row_launch(row_shape(call, batch), types.width);
  if (launch.blocks == 0) return 0;
  with_types(types, [&]<typename T, typename P, int N>() {
    qk_norm_rope_kernel<T, P, N>
        <<<grid(launch), launch.threads, launch.shared_bytes, native(stream)>>>(call);
  });
  return status();
}

int activate(const ActivateCall& call, Types types, Stream stream) {
  const Launch launch = flat_launch(call.size, types.width);
  if (launch.blocks == 0) return 0;
  with_type(types, [&]<typename T, int N>() {
    activate_kernel<T, N><<<grid(launch), launch.threads, 0, native(stream)>>>(call);
  });
  return status();
}

int gated_activation(const ActivateCall& call, Types types, std::int64_t rows, Stream stream) {
  const Launch launch = row_launch({rows, call.dim, false, 0}, types.width);
  if (launch.blocks == 0) return 0;
  with_type(types, [&]<typename T, int N>() {
    gated_activation_kernel<T, N><<<grid(launch), launch.threads, 0, native(stream)>>>(call);
  });
  return status();
}

int combine(const CombineCall& call, Types types, Stream stream) {
  const Launch launch = flat_launch(call.size, types.width);
  if (launch.blocks == 0) return 0;
  with_type(types, [&]<typename T, int N>() {
    combine_kernel<T, N><<<grid(launch), launch.threads, 0, native(stream)>>>(call);
  });
  return status();
}

int distance(const DistanceCall& call, Types types, Stream stream) {
  const Launch launch = distance_launch(call.size);
  if (launch.blocks > 0) {
    with_type(types, [&]<typename T, int N>() {
      distance_kernel<T, N><<<grid(launch), launch.threads, 0, native(stream)>>>(call);
    });
  }
  distance_final_kernel<<<1, kMaxThreads, 0, native(stream)>>>(call, launch.blocks);
  return status();
}

}  // namespace bw::cuda
