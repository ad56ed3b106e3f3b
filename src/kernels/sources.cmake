file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} kernels/*.cc)
bw_library(kernels PCH ATen/ATen.h SOURCES ${sources} DEPS bw_base LibTorch::torch ${CMAKE_DL_LIBS})

# One source, compiled per instruction set; simd.cc chooses. The vector types never cross a call, so their ABI is moot.
set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
function(bw_simd_source name)
  set_source_files_properties("${CMAKE_CURRENT_SOURCE_DIR}/kernels/${name}.cc" PROPERTIES
    SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-O3;-Wno-psabi;${ARGN}")
endfunction()
bw_simd_source(simd_base)
bw_simd_source(simd_avx2 -mavx2 -mfma)
bw_simd_source(simd_avx512 ${avx512})
bw_simd_source(attention_avx512 ${avx512} -mavx512bf16)
include(kernels/cuda/plugin.cmake)
