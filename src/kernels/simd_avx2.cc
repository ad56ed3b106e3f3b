#define BW_SIMD_NAME "avx2"
#define BW_SIMD_TABLE kSimdAvx2
#include "kernels/simd_kernels.inc"
