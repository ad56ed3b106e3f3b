// Row-wise kernels on raw memory, compiled once per instruction set and chosen when the program
// runs. Read simd_kernels.inc for the arithmetic, simd_lanes.h for what it is written in.
#pragma once

#include <cstdint>

namespace bw {

enum class Element : std::int8_t { kFloat32, kBFloat16 };

// A null pointer leaves a step out. All parameters of a call have one element type.
struct NormModulateRows {
  const void* x = nullptr;  // rows [rows,dim], `stride` elements apart
  void* y = nullptr;        // rows [rows,dim], without gaps
  std::int64_t stride = 0;
  std::int64_t dim = 0;
  const void* weight = nullptr;
  const void* bias = nullptr;
  const void* shift = nullptr;
  const void* scale = nullptr;
  float eps = 0;
};

struct GatedAddRows {
  const void* hidden = nullptr;
  const void* output = nullptr;
  const void* gate = nullptr;
  void* y = nullptr;
  std::int64_t hidden_stride = 0;
  std::int64_t output_stride = 0;
  std::int64_t dim = 0;
};

struct QkNormRopeTokens {
  const void* x = nullptr;  // of one row of the batch: heads and tokens at their strides
  void* y = nullptr;        // [heads,tokens,dim] without gaps
  std::int64_t head_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t heads = 0;
  std::int64_t tokens = 0;
  std::int64_t dim = 0;
  const void* weight = nullptr;
  const void* cos = nullptr;  // [tokens,dim/2]
  const void* sin = nullptr;
  bool norm_over_row = false;
  bool adjacent = false;
  float eps = 0;
};

struct ActivateRange {
  const void* x = nullptr;
  void* y = nullptr;
  bool tanh_form = false;
  // Gated: x has rows of 2·dim, y of dim, and begin, end count rows. Zero: elements, not rows.
  std::int64_t gated_dim = 0;
};

// Rows of a matrix as int8 with a scale each: x ≈ scale·q, q = round(127·x / max|x|).
struct QuantizeRows {
  const void* x = nullptr;  // rows [rows,dim], without gaps
  std::int8_t* q = nullptr;
  float* scales = nullptr;  // [rows]
  std::int64_t dim = 0;
};

// Products of quantised rows and columns back to numbers, and what follows a linear layer.
struct DequantizeRows {
  const std::int32_t* sums = nullptr;  // [rows,dim]
  void* y = nullptr;
  const float* row_scales = nullptr;     // [rows]
  const float* column_scales = nullptr;  // [dim]
  const void* bias = nullptr;            // [dim], of y's type
  std::int64_t dim = 0;
  bool activate = false;
  bool tanh_form = false;
};

// Each works on [begin,end) of its rows, tokens or elements.
struct SimdKernels {
  const char* name = "";
  void (*norm_modulate)(const NormModulateRows&, Element x, Element parameter, std::int64_t begin,
                        std::int64_t end) = nullptr;
  void (*gated_add)(const GatedAddRows&, Element x, Element gate, std::int64_t begin,
                    std::int64_t end) = nullptr;
  void (*qk_norm_rope)(const QkNormRopeTokens&, Element x, Element parameter, std::int64_t begin,
                       std::int64_t end) = nullptr;
  void (*activate)(const ActivateRange&, Element x, std::int64_t begin, std::int64_t end) = nullptr;
  void (*quantize)(const QuantizeRows&, Element x, std::int64_t begin, std::int64_t end) = nullptr;
  void (*dequantize)(const DequantizeRows&, Element y, std::int64_t begin,
                     std::int64_t end) = nullptr;
};

// The widest that this processor has.
[[nodiscard]] const SimdKernels& simd_kernels();

// By name, for tests: "base", "avx2", "avx512"; null when this processor lacks it.
[[nodiscard]] const SimdKernels* find_simd_kernels(const char* name);

// Products of bfloat16 pairs, which attention_avx512.h and oneDNN's fast matrix products need.
[[nodiscard]] bool has_avx512_bf16();
// Products of int8 quadruples with sums in int32. Without them oneDNN's int8 product saturates.
[[nodiscard]] bool has_int8_products();

}  // namespace bw
