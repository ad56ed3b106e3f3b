bw_table_sources(cache/policies.inc BW_CACHE_POLICY cache/policies policies)
file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} cache/*.cc)
bw_library(cache PCH ATen/ATen.h SOURCES ${policies} ${sources} DEPS bw_kernels bw_base LibTorch::torch)
