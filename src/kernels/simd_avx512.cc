#define BW_SIMD_NAME "avx512"
#define BW_SIMD_TABLE kSimdAvx512
#include "kernels/simd_kernels.inc"
