// The kernels' calls: raw memory, strides in elements, and a stream. Without headers of torch or
// CUDA, so that the compiler of the one never sees the other. Read launch.h for how a call is laid
// out, torch_operators.cc for who makes them.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"

namespace bw::cuda {

using Stream = void*;  // cudaStream_t

// A null pointer leaves a step out. All parameters of a call have one element type.
struct NormModulateCall {
  const void* x = nullptr;  // [batch,rows,dim], dim without gaps
  void* y = nullptr;        // the same without any gaps
  std::int64_t batch_stride = 0;
  std::int64_t row_stride = 0;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  const void* weight = nullptr;  // [dim]
  const void* bias = nullptr;
  const void* shift = nullptr;  // [dim] per batch entry
  const void* scale = nullptr;
  std::int64_t shift_stride = 0;  // 0: the same for all entries
  std::int64_t scale_stride = 0;
  float eps = 0;
};

struct GatedAddCall {
  const void* hidden = nullptr;  // [batch,rows,dim], dim without gaps
  const void* output = nullptr;
  const void* gate = nullptr;  // [dim] per batch entry
  void* y = nullptr;           // without any gaps
  std::int64_t hidden_batch_stride = 0;
  std::int64_t hidden_row_stride = 0;
  std::int64_t output_batch_stride = 0;
  std::int64_t output_row_stride = 0;
  std::int64_t gate_stride = 0;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
};

struct QkNormRopeCall {
  const void* x = nullptr;  // [batch,heads,tokens,dim], dim without gaps
  void* y = nullptr;        // the same without any gaps
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t heads = 0;
  std::int64_t tokens = 0;
  std::int64_t dim = 0;
  const void* weight = nullptr;   // [dim], or [heads·dim] with norm_over_row
  const void* cos = nullptr;      // [tokens,dim/2] per batch entry
  const void* sin = nullptr;      // null together with cos
  std::int64_t table_stride = 0;  // 0: the same for all entries
  bool norm_over_row = false;
  bool adjacent = false;
  float eps = 0;
};

struct ActivateCall {
  const void* x = nullptr;  // [size]; gated: [rows,2·dim]
  void* y = nullptr;        // [size]; gated: [rows,dim]
  std::int64_t size = 0;
  std::int64_t dim = 0;  // gated only
  bool tanh_form = false;
};

// y = Σ weights[i]·values[i], in this order.
inline constexpr int kMaxTerms = 8;
struct CombineCall {
  const void* values[kMaxTerms] = {};
  float weights[kMaxTerms] = {};
  int num_terms = 0;
  void* y = nullptr;
  std::int64_t size = 0;
};

struct DistanceCall {
  const void* a = nullptr;  // [size]
  const void* b = nullptr;
  std::int64_t size = 0;
  float* partial = nullptr;  // [distance_launch(size).blocks,2], written
  double* sums = nullptr;    // [2]: Σ|a − b|, Σ|b|, written
};

// `x`: type of x and y; `parameter`: of weights, shifts, gates, tables. `width`: of load_width().
struct Types {
  Element x = Element::kFloat32;
  Element parameter = Element::kFloat32;
  int width = 1;
};

// Each enqueues on the stream and returns; the number is CUDA's error code, 0 for none.
[[nodiscard]] int norm_modulate(const NormModulateCall& call, Types types, std::int64_t batch,
                                Stream stream);
[[nodiscard]] int gated_add(const GatedAddCall& call, Types types, std::int64_t batch,
                            Stream stream);
[[nodiscard]] int qk_norm_rope(const QkNormRopeCall& call, Types types, std::int64_t batch,
                               Stream stream);
[[nodiscard]] int activate(const ActivateCall& call, Types types, Stream stream);
[[nodiscard]] int gated_activation(const ActivateCall& call, Types types, std::int64_t rows,
                                   Stream stream);
[[nodiscard]] int combine(const CombineCall& call, Types types, Stream stream);
[[nodiscard]] int distance(const DistanceCall& call, Types types, Stream stream);

// Shapes of the calls above, as launch.h wants them.
[[nodiscard]] inline RowShape row_shape(const NormModulateCall& call, std::int64_t batch) {
  return {batch * call.rows, call.dim, true, 0};
}
[[nodiscard]] inline RowShape row_shape(const GatedAddCall& call, std::int64_t batch) {
  return {batch * call.rows, call.dim, false, 0};
}
[[nodiscard]] inline RowShape row_shape(const QkNormRopeCall& call, std::int64_t batch) {
  return {batch * call.tokens, call.heads * call.dim, true, call.heads};
}

}  // namespace bw::cuda
