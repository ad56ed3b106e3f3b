#define BW_SIMD_NAME "base"
#define BW_SIMD_TABLE kSimdBase
#include "kernels/simd_kernels.inc"
