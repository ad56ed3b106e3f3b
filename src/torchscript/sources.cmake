bw_table_sources(torchscript/rewrites.inc BW_REWRITE torchscript/rewrites rewrites)
file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} torchscript/*.cc)
bw_library(torchscript PCH torch/script.h SOURCES ${rewrites} ${sources} DEPS bw_kernels bw_base LibTorch::torch)
