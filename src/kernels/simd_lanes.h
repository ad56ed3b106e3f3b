// Sixteen floats at a time, in the compiler's own vector types: one source that becomes AVX-512,
// AVX2 or SSE by the flags of the file that includes it. No function here may have external
// linkage: the same name would exist once per instruction set and the linker would keep any one of
// them.
#pragma once

#include <cstdint>

namespace bw {

constexpr std::int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(64)));
using IntLanes = std::int32_t __attribute__((vector_size(64)));
using WordLanes = std::uint32_t __attribute__((vector_size(64)));
using ByteLanes = std::int8_t __attribute__((vector_size(16)));
using HalfLanes = std::uint16_t __attribute__((vector_size(32)));

struct BFloat16 {
  std::uint16_t bits;
};

#define BW_INLINE [[gnu::always_inline]] static inline

template <typename To, typename From>
BW_INLINE To bits_of(From value) {
  return __builtin_bit_cast(To, value);
}

template <typename V, typename T>
BW_INLINE V load_vector(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}

BW_INLINE Lanes load(const float* p) { return load_vector<Lanes>(p); }
BW_INLINE Lanes load(const BFloat16* p) {
  return bits_of<Lanes>(__builtin_convertvector(load_vector<HalfLanes>(p), WordLanes) << 16);
}

BW_INLINE void store(float* p, Lanes v) { __builtin_memcpy(p, &v, sizeof(v)); }
// Round to nearest, ties to even; a NaN stays one.
BW_INLINE void store(BFloat16* p, Lanes v) {
  const WordLanes bits = bits_of<WordLanes>(v);
  const WordLanes rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const WordLanes is_nan = bits_of<WordLanes>(v != v);
  const HalfLanes half =
      __builtin_convertvector((rounded & ~is_nan) | (0x7fc0 & is_nan), HalfLanes);
  __builtin_memcpy(p, &half, sizeof(half));
}

BW_INLINE Lanes load(const std::int32_t* p) {
  return __builtin_convertvector(load_vector<IntLanes>(p), Lanes);
}
// To the nearest integer, ties to even; v must be in the range of int8.
BW_INLINE void store(std::int8_t* p, Lanes v) {
  const Lanes shifted = v + 12582912.0F;  // 1.5·2²³: the sum's low bits are the nearest integer
  const auto bytes = __builtin_convertvector(bits_of<IntLanes>(shifted), ByteLanes);
  __builtin_memcpy(p, &bytes, sizeof(bytes));
}

// The first n < 16 of a row's end; the other lanes are zero.
template <typename T>
BW_INLINE Lanes load(const T* p, std::int64_t n) {
  if (n >= kLanes) return load(p);
  T part[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}
template <typename T>
BW_INLINE void store(T* p, Lanes v, std::int64_t n) {
  if (n >= kLanes) return store(p, v);
  T part[kLanes];
  store(part, v);
  for (std::int64_t i = 0; i < n; ++i) p[i] = part[i];
}

BW_INLINE Lanes splat(float value) { return Lanes{} + value; }
BW_INLINE Lanes select(IntLanes mask, Lanes yes, Lanes no) { return mask ? yes : no; }
BW_INLINE Lanes larger(Lanes a, Lanes b) { return select(a > b, a, b); }
BW_INLINE Lanes smaller(Lanes a, Lanes b) { return select(a < b, a, b); }

// Lane i takes what lane i + n has, cyclically.
template <int n>
BW_INLINE Lanes rotated(Lanes v) {
  return __builtin_shufflevector(v, v, n & 15, (n + 1) & 15, (n + 2) & 15, (n + 3) & 15,
                                 (n + 4) & 15, (n + 5) & 15, (n + 6) & 15, (n + 7) & 15,
                                 (n + 8) & 15, (n + 9) & 15, (n + 10) & 15, (n + 11) & 15,
                                 (n + 12) & 15, (n + 13) & 15, (n + 14) & 15, (n + 15) & 15);
}

// In a fixed order, whatever the width of the registers.
BW_INLINE float sum(Lanes v) {
  v += rotated<8>(v);
  v += rotated<4>(v);
  v += rotated<2>(v);
  v += rotated<1>(v);
  return v[0];
}
BW_INLINE float maximum(Lanes v) {
  v = larger(v, rotated<8>(v));
  v = larger(v, rotated<4>(v));
  v = larger(v, rotated<2>(v));
  v = larger(v, rotated<1>(v));
  return v[0];
}

// e^x by Cody and Waite's reduction and a polynomial of degree 6: relative error below 2e-7.
// Clamped to finite results; NaN stays NaN.
BW_INLINE Lanes exp(Lanes x) {
  // In this order a NaN goes through.
  x = larger(splat(-87.3F), smaller(splat(88.3F), x));
  const Lanes shifted =
      x * 1.44269504F + 12582912.0F;  // 1.5·2²³: the sum's low bits are the nearest integer
  const Lanes n = shifted - 12582912.0F;
  const Lanes r = x - n * 0.693359375F + n * 2.12194440e-4F;
  Lanes p = r * 1.3981999507e-3F + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const IntLanes exponent = bits_of<IntLanes>(shifted) << 23;
  return bits_of<Lanes>(bits_of<IntLanes>(p) + exponent);
}

// x·Φ(x) with Φ by tanh: tanh(u) = 2·sigmoid(2u) − 1, so no tanh is needed.
BW_INLINE Lanes gelu_tanh(Lanes x) {
  const Lanes u = x * (1.59576912F + 0.0713548163F * x * x);  // 2·sqrt(2/π)·(x + 0.044715 x³)
  return x / (1.0F + exp(-u));
}

// x·Φ(x) with erf after Abramowitz and Stegun 7.1.26, absolute error of Φ below 1e-7.
BW_INLINE Lanes gelu_erf(Lanes x) {
  const Lanes a = bits_of<Lanes>(bits_of<IntLanes>(x) & 0x7fffffff) * 0.70710678F;
  const Lanes t = 1.0F / (1.0F + 0.3275911F * a);
  Lanes p = 1.061405429F * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Lanes tail = 0.5F * p * t * exp(-(a * a));  // 1 − Φ(|x|)
  return x * select(x > Lanes{}, 1.0F - tail, tail);
}

}  // namespace bw
