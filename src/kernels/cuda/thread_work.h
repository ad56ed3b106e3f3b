// What one thread of each kernel does between two barriers. The same code is compiled for the
// device (kernels.cu, where the barriers and the reductions are) and for the host, where a test
// runs it thread by thread against the references. Read calls.h for the arguments.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/calls.h"

#ifdef __CUDACC__
#define BW_DEVICE_CODE __host__ __device__ inline
#else
#define BW_DEVICE_CODE inline
#endif

namespace bw::cuda {

struct Thread {
  std::int64_t block = 0;
  int index = 0;
  int count = 1;  // threads in the block
};

struct BFloat16 {
  std::uint16_t bits;
};

// Elements that are loaded and stored together.
template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};

template <typename T, int N>
struct [[gnu::may_alias]] alignas(alignof(Pack<T, N>)) Words {
  std::uint32_t at[sizeof(T) * N / sizeof(std::uint32_t)];
};

BW_DEVICE_CODE float to_float(float value) { return value; }
BW_DEVICE_CODE float to_float(BFloat16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof(result));
  return result;
}

// Round to nearest, ties to even; a NaN stays one.
BW_DEVICE_CODE void from_float(float value, float& result) { result = value; }
BW_DEVICE_CODE void from_float(float value, BFloat16& result) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  result.bits = static_cast<std::uint16_t>(value != value ? 0x7fc0U : rounded);
}

template <int N, typename T>
BW_DEVICE_CODE Pack<float, N> load(const T* address) {
  const Pack<T, N> raw = *reinterpret_cast<const Pack<T, N>*>(address);
  Pack<float, N> values;
  for (int j = 0; j < N; ++j) values.at[j] = to_float(raw.at[j]);
  return values;
}

template <int N, typename T>
BW_DEVICE_CODE void store(T* address, const Pack<float, N>& values) {
  Pack<T, N> raw;
  for (int j = 0; j < N; ++j) from_float(values.at[j], raw.at[j]);
  if constexpr (sizeof(T) == 2 && N % 2 == 0) {
    // In one piece: the compiler splits stores that it finds element by element.
    Words<T, N> words;
    for (int j = 0; j < N / 2; ++j) {
      words.at[j] = raw.at[2 * j].bits | static_cast<std::uint32_t>(raw.at[2 * j + 1].bits) << 16;
    }
    *reinterpret_cast<Words<T, N>*>(address) = words;
  } else {
    *reinterpret_cast<Pack<T, N>*>(address) = raw;
  }
}

BW_DEVICE_CODE float gelu(float x, bool tanh_form) {
  if (!tanh_form) return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
  return 0.5F * x * (1.0F + tanhf(0.79788456080286536F * (x + 0.044715F * x * x * x)));
}

// The batch entry of a block that works on one row, and the row within it.
struct RowOfBatch {
  std::int64_t batch;
  std::int64_t row;
};
BW_DEVICE_CODE RowOfBatch row_of_batch(std::int64_t block, std::int64_t rows) {
  // The grid has fewer than 2³¹ blocks, and a division of 32 bits is cheap.
  const auto batch = static_cast<std::uint32_t>(block) / static_cast<std::uint32_t>(rows);
  return {batch, block - batch * rows};
}

template <typename T>
BW_DEVICE_CODE const T* row_of(const void* start, std::int64_t offset) {
  return static_cast<const T*>(start) + offset;
}

// --- norm and modulation: a row is kept in f32 in shared memory, each thread's own elements ---

// Loads; returns this thread's share of the sum.
template <typename T, int N>
BW_DEVICE_CODE float norm_load(const NormModulateCall& call, Thread thread, float* row) {
  const RowOfBatch at = row_of_batch(thread.block, call.rows);
  const T* x = row_of<T>(call.x, at.batch * call.batch_stride + at.row * call.row_stride);
  float sum = 0;
  for (std::int64_t i = thread.index * N; i < call.dim; i += thread.count * N) {
    const Pack<float, N> values = load<N>(x + i);
    store<N>(row + i, values);
    for (int j = 0; j < N; ++j) sum += values.at[j];
  }
  return sum;
}

// This thread's share of Σ(x − mean)².
template <int N>
BW_DEVICE_CODE float norm_deviations(const NormModulateCall& call, Thread thread, const float* row,
                                     float mean) {
  float sum = 0;
  for (std::int64_t i = thread.index * N; i < call.dim; i += thread.count * N) {
    const Pack<float, N> values = load<N>(row + i);
    for (int j = 0; j < N; ++j) sum += (values.at[j] - mean) * (values.at[j] - mean);
  }
  return sum;
}

template <typename T, typename P, int N>
BW_DEVICE_CODE void norm_write(const NormModulateCall& call, Thread thread, const float* row,
                               float mean, float factor) {
  const RowOfBatch at = row_of_batch(thread.block, call.rows);
  T* y = static_cast<T*>(call.y) + thread.block * call.dim;
  const P* weight = row_of<P>(call.weight, 0);
  const P* bias = row_of<P>(call.bias, 0);
  const P* shift = row_of<P>(call.shift, at.batch * call.shift_stride);
  const P* scale = row_of<P>(call.scale, at.batch * call.scale_stride);
  for (std::int64_t i = thread.index * N; i < call.dim; i += thread.count * N) {
    Pack<float, N> values = load<N>(row + i);
    for (int j = 0; j < N; ++j) values.at[j] = (values.at[j] - mean) * factor;
    if (call.weight != nullptr) {
      const Pack<float, N> w = load<N>(weight + i);
      for (int j = 0; j < N; ++j) values.at[j] *= w.at[j];
    }
    if (call.bias != nullptr) {
      const Pack<float, N> b = load<N>(bias + i);
      for (int j = 0; j < N; ++j) values.at[j] += b.at[j];
    }
    if (call.scale != nullptr) {
      const Pack<float, N> s = load<N>(scale + i);
      const Pack<float, N> t = load<N>(shift + i);
      for (int j = 0; j < N; ++j) values.at[j] = values.at[j] * (1.0F + s.at[j]) + t.at[j];
    }
    store<N>(y + i, values);
  }
}

// --- gate and residual sum ---

template <typename T, typename P, int N>
BW_DEVICE_CODE void gated_add_thread(const GatedAddCall& call, Thread thread) {
  const RowOfBatch at = row_of_batch(thread.block, call.rows);
  const T* hidden =
      row_of<T>(call.hidden, at.batch * call.hidden_batch_stride + at.row * call.hidden_row_stride);
  const T* output =
      row_of<T>(call.output, at.batch * call.output_batch_stride + at.row * call.output_row_stride);
  const P* gate = row_of<P>(call.gate, at.batch * call.gate_stride);
  T* y = static_cast<T*>(call.y) + thread.block * call.dim;
  for (std::int64_t i = thread.index * N; i < call.dim; i += thread.count * N) {
    Pack<float, N> sum = load<N>(hidden + i);
    const Pack<float, N> o = load<N>(output + i);
    const Pack<float, N> g = load<N>(gate + i);
    for (int j = 0; j < N; ++j) sum.at[j] += o.at[j] * g.at[j];
    store<N>(y + i, sum);
  }
}

// --- norm and rotation of queries and keys: one block per token, `row` holds all its heads ---

// Loads; returns this thread's share of the sum of squares over all heads.
template <typename T, int N>
BW_DEVICE_CODE float rope_load(const QkNormRopeCall& call, Thread thread, float* row) {
  const RowOfBatch at = row_of_batch(thread.block, call.tokens);
  const T* x = row_of<T>(call.x, at.batch * call.batch_stride + at.row * call.token_stride);
  const int size = static_cast<int>(call.heads * call.dim);
  const int dim = static_cast<int>(call.dim);
  float sum = 0;
  for (int i = thread.index * N; i < size; i += thread.count * N) {
    const int head = i / dim;
    const Pack<float, N> values = load<N>(x + head * call.head_stride + (i - head * dim));
    store<N>(row + i, values);
    for (int j = 0; j < N; ++j) sum += values.at[j] * values.at[j];
  }
  return sum;
}

// This lane's share of the sum of squares of one head.
BW_DEVICE_CODE float rope_head_squares(const QkNormRopeCall& call, const float* row, int head,
                                       int lane) {
  const float* values = row + head * call.dim;
  float sum = 0;
  for (std::int64_t i = lane; i < call.dim; i += kWarpSize) sum += values[i] * values[i];
  return sum;
}

BW_DEVICE_CODE float rms_factor(float squares, std::int64_t count, float eps) {
  return 1.0F / sqrtf(squares / static_cast<float>(count) + eps);
}

// factors: one per head.
template <typename P, int N>
BW_DEVICE_CODE void rope_normalise(const QkNormRopeCall& call, Thread thread, float* row,
                                   const float* factors) {
  const P* weight = row_of<P>(call.weight, 0);
  const int size = static_cast<int>(call.heads * call.dim);
  const int dim = static_cast<int>(call.dim);
  for (int i = thread.index * N; i < size; i += thread.count * N) {
    const int head = i / dim;
    Pack<float, N> values = load<N>(row + i);
    for (int j = 0; j < N; ++j) values.at[j] *= factors[head];
    if (call.weight != nullptr) {
      const Pack<float, N> w = load<N>(weight + (call.norm_over_row ? i : i - head * dim));
      for (int j = 0; j < N; ++j) values.at[j] *= w.at[j];
    }
    store<N>(row + i, values);
  }
}

// Element d of a head whose values are `values`: (a, b) → (a·cos − b·sin, a·sin + b·cos).
template <typename P>
BW_DEVICE_CODE float rotated(const float* values, int d, int half, bool adjacent, const P* cos,
                             const P* sin) {
  const int pair = adjacent ? d / 2 : (d < half ? d : d - half);
  const int first = adjacent ? d - d % 2 : pair;
  const int second = adjacent ? first + 1 : pair + half;
  const float a = values[first], b = values[second];
  const float c = to_float(cos[pair]), s = to_float(sin[pair]);
  return d == first ? a * c - b * s : a * s + b * c;
}

template <typename T, typename P, int N>
BW_DEVICE_CODE void rope_write(const QkNormRopeCall& call, Thread thread, const float* row) {
  const RowOfBatch at = row_of_batch(thread.block, call.tokens);
  const int size = static_cast<int>(call.heads * call.dim);
  const int dim = static_cast<int>(call.dim), half = dim / 2;
  const std::int64_t table = at.batch * call.table_stride + at.row * half;
  const P* cos = row_of<P>(call.cos, table);
  const P* sin = row_of<P>(call.sin, table);
  for (int i = thread.index * N; i < size; i += thread.count * N) {
    const int head = i / dim, d = i - head * dim;
    Pack<float, N> values = load<N>(row + i);
    if (call.cos != nullptr) {
      for (int j = 0; j < N; ++j) {
        values.at[j] = rotated(row + head * dim, d + j, half, call.adjacent, cos, sin);
      }
    }
    const std::int64_t out = (at.batch * call.heads + head) * call.tokens + at.row;
    store<N>(static_cast<T*>(call.y) + out * dim + d, values);
  }
}

// --- one element at a time: `work(i, pack size)` on whole loads, then on what is left ---

template <int N, typename Work>
BW_DEVICE_CODE void for_flat(std::int64_t size, Thread thread, const Work& work) {
  const std::int64_t i = (thread.block * thread.count + thread.index) * N;
  if (i + N <= size) {
    work.template operator()<N>(i);
    return;
  }
  for (std::int64_t j = i; j < size; ++j) work.template operator()<1>(j);
}

template <typename T>
struct ActivateWork {
  const ActivateCall& call;
  template <int N>
  BW_DEVICE_CODE void operator()(std::int64_t i) const {
    Pack<float, N> values = load<N>(row_of<T>(call.x, i));
    for (int j = 0; j < N; ++j) values.at[j] = gelu(values.at[j], call.tanh_form);
    store<N>(static_cast<T*>(call.y) + i, values);
  }
};

template <typename T, int N>
BW_DEVICE_CODE void gated_activation_thread(const ActivateCall& call, Thread thread) {
  const T* x = row_of<T>(call.x, thread.block * 2 * call.dim);
  T* y = static_cast<T*>(call.y) + thread.block * call.dim;
  for (std::int64_t i = thread.index * N; i < call.dim; i += thread.count * N) {
    Pack<float, N> values = load<N>(x + i);
    const Pack<float, N> gates = load<N>(x + call.dim + i);
    for (int j = 0; j < N; ++j) values.at[j] *= gelu(gates.at[j], call.tanh_form);
    store<N>(y + i, values);
  }
}

template <typename T>
struct CombineWork {
  const CombineCall& call;
  template <int N>
  BW_DEVICE_CODE void operator()(std::int64_t i) const {
    Pack<float, N> sum = {};
    for (int term = 0; term < call.num_terms; ++term) {
      const Pack<float, N> values = load<N>(row_of<T>(call.values[term], i));
      for (int j = 0; j < N; ++j) sum.at[j] += call.weights[term] * values.at[j];
    }
    store<N>(static_cast<T*>(call.y) + i, sum);
  }
};

// --- the two sums of the relative distance ---

struct DistanceSums {
  float difference = 0;
  float reference = 0;
};

template <int N, typename T>
BW_DEVICE_CODE void add_distance(const T* a, const T* b, DistanceSums& sums) {
  const Pack<float, N> x = load<N>(a), y = load<N>(b);
  for (int j = 0; j < N; ++j) {
    sums.difference += fabsf(x.at[j] - y.at[j]);
    sums.reference += fabsf(y.at[j]);
  }
}

// This thread's share of its block's chunk, in the order of the elements.
template <typename T, int N>
BW_DEVICE_CODE DistanceSums distance_thread(const DistanceCall& call, Thread thread) {
  const std::int64_t first = thread.block * kDistanceChunk;
  const std::int64_t left = call.size - first;
  const int size = static_cast<int>(left < kDistanceChunk ? left : kDistanceChunk);
  const T* a = row_of<T>(call.a, first);
  const T* b = row_of<T>(call.b, first);
  DistanceSums sums;
  int i = thread.index * N;
  for (; i + N <= size; i += thread.count * N) add_distance<N>(a + i, b + i, sums);
  // At most one thread finds an incomplete load.
  for (; i < size; ++i) add_distance<1>(a + i, b + i, sums);
  return sums;
}

// This thread's share of the chunks' sums; [0] is Σ|a − b|, [1] is Σ|b|.
BW_DEVICE_CODE double distance_final(const float* partial, std::int64_t blocks, Thread thread,
                                     int which) {
  double sum = 0;
  for (std::int64_t i = thread.index; i < blocks; i += thread.count) sum += partial[2 * i + which];
  return sum;
}

}  // namespace bw::cuda

#undef BW_DEVICE_CODE
