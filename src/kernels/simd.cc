#include "kernels/simd.h"

#include <string_view>

namespace bw {

extern const SimdKernels kSimdBase;
extern const SimdKernels kSimdAvx2;
extern const SimdKernels kSimdAvx512;

namespace {

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

const SimdKernels& simd_kernels() {
  static const SimdKernels& best = has_avx512() ? kSimdAvx512 : has_avx2() ? kSimdAvx2 : kSimdBase;
  return best;
}

bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

bool has_int8_products() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }

const SimdKernels* find_simd_kernels(const char* name) {
  const std::string_view wanted = name;
  if (wanted == kSimdBase.name) return &kSimdBase;
  if (wanted == kSimdAvx2.name && has_avx2()) return &kSimdAvx2;
  if (wanted == kSimdAvx512.name && has_avx512()) return &kSimdAvx512;
  return nullptr;
}

}  // namespace bw
