file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} kernels/*.cc)
if(sources)
  bw_library(kernels PCH ATen/ATen.h SOURCES ${sources} DEPS bw_base LibTorch::torch)
endif()
